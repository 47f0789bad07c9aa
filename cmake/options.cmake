# SPDX-License-Identifier: MIT
#
# How everything here is compiled: language level, warnings, sanitizers. Nothing of it leaks to a host.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1 -DNDEBUG") # only tests are C++: what counts is the time to build them

if(NOT CMAKE_C_COMPILER_LAUNCHER)
    find_program(CCACHE ccache)
    if(CCACHE)
        set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
        set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
    endif()
endif()

# Link this (PRIVATE) to every target of ours.
add_library(mqb_options INTERFACE)
target_compile_options(mqb_options INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Werror -fno-common
    $<$<COMPILE_LANGUAGE:C>:-Wconversion;-Wstrict-prototypes;-Wmissing-prototypes;-Wvla>)

if(MQB_SANITIZE)
    add_compile_options(-fsanitize=${MQB_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${MQB_SANITIZE})
    # GCC warns of conversions in what UBSan makes of the code; the other builds have the warning. UBSan
    # makes GoogleTest's macros several times as long to compile, and it is the library that it watches.
    target_compile_options(mqb_options INTERFACE
        $<$<COMPILE_LANGUAGE:C>:-Wno-conversion>
        $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=undefined>)
endif()
