// Names of classes and columns as people compare them. A pure function.
#pragma once

#include <string>
#include <string_view>

namespace crowdteach::learning {

// Without what is easily written another way: "Cell Size", "cell_size" and "cellsize" are one.
std::string PlainName(std::string_view name);

}  // namespace crowdteach::learning
