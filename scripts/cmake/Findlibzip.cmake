# libzip as Debian ships it: target libzip::zip. Debian 12's own package file asks for command-line
# tools that stand in another package.
find_path(libzip_INCLUDE_DIR zip.h)
find_library(libzip_LIBRARY zip)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(libzip REQUIRED_VARS libzip_LIBRARY libzip_INCLUDE_DIR)
if(libzip_FOUND AND NOT TARGET libzip::zip)
  add_library(libzip::zip INTERFACE IMPORTED)
  target_include_directories(libzip::zip INTERFACE ${libzip_INCLUDE_DIR})
  target_link_libraries(libzip::zip INTERFACE ${libzip_LIBRARY})
endif()
