# Compiler settings and the few functions the folders' CMakeLists.txt use.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# A third of the compile time of -O3 goes into templates of command lines and tests, so: -O2, the
# kernels -O3 (ct_optimise), command lines and tests -O1.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_compile_options(
  -Wall -Wextra -Wno-unused-parameter
  # Designated initializers leave out what has a default.
  -Wno-missing-field-initializers
  # The aggregate and the scores must be the same bits on every machine.
  -ffp-contract=off
  # Precompiled headers must be read with the flags they were made with, so all are compiled as
  # some need it: parts of a shared library, whose functions nobody replaces at run time.
  -pthread -fPIC -fno-semantic-interposition
  # Warnings and asserts name files relative to the checkout; ccache hits across checkouts.
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms on std::string (GCC bugs 105651, 105329).
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options(-Wno-maybe-uninitialized)  # false alarms on moved std::variant
endif()
if(CROWDTEACH_SANITIZE)
  add_compile_options(-fsanitize=${CROWDTEACH_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CROWDTEACH_SANITIZE})
endif()

if(CROWDTEACH_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage in the libraries, to guide libFuzzer
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

# Files that include Torch's headers take 1.3 GB each; on a small machine one at a time:
# set_target_properties(‹target› PROPERTIES JOB_POOL_COMPILE torch).
cmake_host_system_information(RESULT memory_mib QUERY TOTAL_PHYSICAL_MEMORY)
if(memory_mib LESS 4000)
  set_property(GLOBAL PROPERTY JOB_POOLS torch=1)
else()
  math(EXPR torch_jobs "${memory_mib} / 2000")
  set_property(GLOBAL PROPERTY JOB_POOLS torch=${torch_jobs})
endif()

# Four fifths of the compile time go into reading the headers nearly every file includes, so GCC
# reads them once (proto/CMakeLists.txt says which). clang builds without, and so sees a missing
# #include.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT CROWDTEACH_CORE)
  set(CROWDTEACH_PRECOMPILE ON)
endif()

# ct_precompiled(TARGET…): these read the common headers precompiled. At -O1 they are another file
# (HEADERS crowdteach_common_headers_o1): the compiler wants the flags it was made with.
function(ct_precompiled)
  cmake_parse_arguments(ARG "" "HEADERS" "" ${ARGN})
  if(NOT ARG_HEADERS)
    set(ARG_HEADERS crowdteach_common_headers)
  endif()
  if(CROWDTEACH_PRECOMPILE)
    foreach(target IN LISTS ARG_UNPARSED_ARGUMENTS)
      target_precompile_headers(${target} REUSE_FROM ${ARG_HEADERS})
    endforeach()
  endif()
endfunction()

# ct_library(name [DEPS …]): the library crowdteach_‹name›, alias crowdteach::‹name›, of the .cc
# files of this folder and the named SUBFOLDERS, without main programs and EXCLUDE patterns.
function(ct_library name)
  cmake_parse_arguments(ARG "" "" "SUBFOLDERS;EXCLUDE;DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(folder IN LISTS ARG_SUBFOLDERS)
    file(GLOB more CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cc)
    list(APPEND sources ${more})
  endforeach()
  foreach(pattern IN ITEMS "_main\\.cc$" LISTS ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${pattern}")
  endforeach()
  add_library(crowdteach_${name} STATIC ${sources})
  add_library(crowdteach::${name} ALIAS crowdteach_${name})
  target_include_directories(crowdteach_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(crowdteach_${name} PUBLIC ${ARG_DEPS})
  ct_precompiled(crowdteach_${name})
endfunction()

# ct_optimise(LEVEL FILES…): compiles sources of this folder's targets with another -O.
function(ct_optimise level)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${level})
  set_property(SOURCE ${ARGN} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# ct_test(name DEPS … [LABELS …]): one Catch2 program of tests/unit/‹name›/*.cc (or FOLDER).
function(ct_test name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPS;LABELS" ${ARGN})
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER unit/${name})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_FOLDER}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(test_${name} ${sources})
  target_compile_options(test_${name} PRIVATE -O1
    $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread>)  # the same false alarms, at -O1
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPS} crowdteach_test_support)
  target_compile_definitions(test_${name} PRIVATE
    CROWDTEACH_SOURCE_DIR="${CMAKE_SOURCE_DIR}" CROWDTEACH_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
  ct_precompiled(test_${name} HEADERS crowdteach_common_headers_o1)
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 900)
endfunction()

# ct_fuzz(name DEPS …): the libFuzzer program fuzz_‹name› of tests/fuzz/‹name›.cc; without
# CROWDTEACH_FUZZ the same file replays its corpus tests/fuzz/corpus/‹name›/ as an ordinary test.
function(ct_fuzz name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  if(CROWDTEACH_FUZZ)
    add_executable(fuzz_${name} fuzz/${name}.cc)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} fuzz/${name}.cc support/replay_corpus.cc)
    add_test(NAME fuzz_${name}
      COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
  endif()
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPS})
endfunction()
