// The one style sheet of a report: light, dark and print, for screens from 360 px. No font, image
// or file of any other place. Contrast of text is at least 4.5, of marks 3, in both schemes.
#pragma once

#include <string_view>

namespace crowdteach::audit {

std::string_view ReportStyle();

}  // namespace crowdteach::audit
