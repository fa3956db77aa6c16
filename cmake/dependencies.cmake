# Every foreign library comes from Debian's packages (scripts/install-deps).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(CONFUSE REQUIRED IMPORTED_TARGET libconfuse)
pkg_check_modules(RAFT IMPORTED_TARGET raft)

# raft before 0.22 counts replicas to commit entries of earlier terms (Raft paper, figure 8)
# and acknowledges indexes that it never checked: it loses acknowledged payments.
if(NOT RAFT_FOUND OR RAFT_VERSION VERSION_LESS 0.22.1)
    message(FATAL_ERROR
        "payledger needs raft 0.22.1 or newer, found '${RAFT_VERSION}'. Older versions lose "
        "acknowledged payments. Run scripts/install-deps; by hand on Debian 12, with the backports "
        "suite enabled: apt-get install libraft-dev/bookworm-backports libraft0/bookworm-backports")
endif()

find_package(wslay CONFIG REQUIRED)
find_library(HTTP_PARSER_LIBRARY http_parser REQUIRED)
add_library(http_parser UNKNOWN IMPORTED)
set_target_properties(http_parser PROPERTIES IMPORTED_LOCATION ${HTTP_PARSER_LIBRARY})
