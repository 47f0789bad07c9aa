# SPDX-License-Identifier: MIT
#
# cmake --install: both libraries, the headers, mqttbroker.pc and the CMake package. Everything is found
# relative to where it lies, so --prefix may still change it.
include(CMakePackageConfigHelpers)

install(TARGETS mqttbroker_shared mqttbroker_static
    EXPORT mqttbroker
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/api/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE
    DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/mqttbroker)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mqttbroker)
install(EXPORT mqttbroker NAMESPACE mqttbroker:: DESTINATION ${package_dir}
    FILE mqttbrokerTargets.cmake)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/mqttbrokerConfig.cmake.in
    ${PROJECT_BINARY_DIR}/mqttbrokerConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/mqttbrokerConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/mqttbrokerConfig.cmake
    ${PROJECT_BINARY_DIR}/mqttbrokerConfigVersion.cmake DESTINATION ${package_dir})

set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_PREFIX}/${pc_dir} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix ${pc_prefix})
configure_file(${CMAKE_CURRENT_LIST_DIR}/mqttbroker.pc.in ${PROJECT_BINARY_DIR}/mqttbroker.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/mqttbroker.pc DESTINATION ${pc_dir})
