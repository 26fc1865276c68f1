// Catch2 2 (Debian 12) and 3 (Debian 13) under one include.
#pragma once

#ifdef CROWDTEACH_CATCH2_V2
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
using Catch::Approx;
#endif
