# find_package(crowdteach): the target crowdteach::crowdteach, and <crowdteach/teacher.h> with it.
include(CMakeFindDependencyMacro)
find_dependency(absl)
include("${CMAKE_CURRENT_LIST_DIR}/crowdteachTargets.cmake")
