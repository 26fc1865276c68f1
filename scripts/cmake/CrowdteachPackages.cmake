# Debian packages: `cpack -G DEB` makes one of each install component (scripts/package builds first).
include(GNUInstallDirs)

# ct_documented(TARGET SECTION COMPONENT): the program writes its own manual page and completion
# scripts whenever it is linked; they are installed with it.
function(ct_documented target section component)
  set(folder ${CMAKE_BINARY_DIR}/documentation)
  file(MAKE_DIRECTORY ${folder})
  set(page ${target}.${section}.gz)
  string(REPLACE - _ function _${target})  # zsh wants the file named as the function in it
  add_custom_command(TARGET ${target} POST_BUILD VERBATIM WORKING_DIRECTORY ${folder}
    # Defaults from the environment are the reader's, not the builder's.
    COMMAND sh -ec "\
export HOME='~' USER='your user name'; \
\"$1\" man >\"$2.man\" && gzip -9nc \"$2.man\" >\"$3\"; \
for shell in bash zsh fish; do \"$1\" completion $shell >\"$2.$shell\"; done"
      sh $<TARGET_FILE:${target}> ${target} ${page})
  install(FILES ${folder}/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
    COMPONENT ${component})
  set(share ${CMAKE_INSTALL_DATADIR})
  install(FILES ${folder}/${target}.bash DESTINATION ${share}/bash-completion/completions
    RENAME ${target} COMPONENT ${component})
  install(FILES ${folder}/${target}.zsh DESTINATION ${share}/zsh/vendor-completions
    RENAME ${function} COMPONENT ${component})
  install(FILES ${folder}/${target}.fish DESTINATION ${share}/fish/vendor_completions.d
    COMPONENT ${component})
endfunction()

# ct_package(COMPONENT NAME SUMMARY DETAIL [DEPENDS]): what its package is called and says.
function(ct_package component name summary detail)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${detail}" PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${ARGN}" PARENT_SCOPE)
  install(FILES ${CMAKE_SOURCE_DIR}/scripts/debian/copyright
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component})
endfunction()

ct_package(coordinator crowdteachd "coordinator of federated training with an auditable ledger"
  "Runs campaigns in which many people teach a model with data that stays with them, measures what
each update was worth, and keeps every term, score and credit on a hash-chained ledger."
  "adduser")
ct_package(client crowdteach "teach a model with data that stays with you"
  "The program of data owners, who teach, and of model owners, who launch campaigns.")
ct_package(worker crowdteach-worker "trains and evaluates models for crowdteach, in a sandbox"
  "Started by crowdteach and crowdteachd; the only part that needs Torch."
  "libopenblas0-openmp")
ct_package(audit crowdteach-audit "checks the ledger of a crowdteach coordinator"
  "Fetches and verifies, offline, every signature, rule, payout, model and score.")
ct_package(library libcrowdteach${PROJECT_VERSION_MAJOR} "teach with a program of your own: library"
  "What programs that link crowdteach need to run.")
ct_package(development libcrowdteach-dev "teach with a program of your own: header and CMake package"
  "The header crowdteach/teacher.h, and find_package(crowdteach)." "libabsl-dev")
set(CPACK_DEBIAN_WORKER_PACKAGE_SECTION science)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_COMPONENT_COORDINATOR_DEPENDS worker)
set(CPACK_COMPONENT_CLIENT_DEPENDS worker)
set(CPACK_COMPONENT_DEVELOPMENT_DEPENDS library)

install(FILES ${CMAKE_SOURCE_DIR}/scripts/debian/crowdteachd.service
  DESTINATION lib/systemd/system COMPONENT coordinator)
set(CPACK_DEBIAN_COORDINATOR_PACKAGE_CONTROL_EXTRA "${CMAKE_SOURCE_DIR}/scripts/debian/postinst"
  "${CMAKE_SOURCE_DIR}/scripts/debian/prerm" "${CMAKE_SOURCE_DIR}/scripts/debian/postrm")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME crowdteach)
set(CPACK_PACKAGE_CONTACT "crowdteach maintainers <maintainers@crowdteach.invalid>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_COMPONENTS_ALL coordinator client worker audit library development)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
  GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# Of two packages of one version, the one for the newer Debian is the newer.
file(STRINGS /etc/os-release release_lines REGEX "^VERSION_ID=")
string(REGEX REPLACE "[^0-9]" "" debian_release "${release_lines}")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1~deb${debian_release})
include(CPack)
