set(PAYLEDGER_WARNINGS
    -Wall -Wextra -Werror -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wcast-qual
    -Wcast-align -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
    -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
    -Wnull-dereference -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    list(APPEND PAYLEDGER_WARNINGS -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()

add_compile_options(-fstack-protector-strong -fno-common -fno-omit-frame-pointer)
if(PAYLEDGER_HARDENED)
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    add_link_options(-pie -Wl,-z,relro,-z,now)
endif()
if(PAYLEDGER_SANITIZE)
    add_compile_options(-fsanitize=${PAYLEDGER_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${PAYLEDGER_SANITIZE})
    # gcc's flow analysis raises false alarms inside sanitizer instrumentation.
    list(REMOVE_ITEM PAYLEDGER_WARNINGS -Wnull-dereference)
endif()
if(PAYLEDGER_FUZZ)
    # The fuzzer sees which branches of the libraries an input reaches.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(PAYLEDGER_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
