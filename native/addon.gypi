{
  "targets": [{
    "target_name": "addon",
    "sources": [
      "addon.cc",
      "watcher.cc",
      "deadline.cc",
      "environment.cc",
      "fds.cc",
      "files.cc",
      "mapping_counts.cc",
      "passing.cc",
      "guard.cc",
      "guard_verbs.cc",
      "own_group.cc",
      "holdings.cc",
      "instance.cc",
      "limits.cc",
      "poll.cc",
      "reap.cc",
      "reuse.cc",
      "segments.cc",
      "signals.cc",
      "sockets.cc",
      "temporary_file.cc",
      "zygote_loop.cc",
      "zygote_table.cc"
    ],
    "defines": [ "NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS" ],
    # With 64-bit offsets fcntl is called fcntl64, which musl does not have.
    "defines!": [ "_FILE_OFFSET_BITS=64", "_LARGEFILE_SOURCE" ],
    "cflags!": [ "-O3", "-fno-omit-frame-pointer" ],
    # Node's standard depends on its version; ours does not.
    "cflags_cc!": [ "-std=gnu++17", "-std=gnu++20" ],
    "cflags": [
      "-O2", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections",
      "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion",
      "-Wsign-conversion"
    ],
    "cflags_cc": [
      "-std=c++17", "-fno-exceptions", "-fno-rtti",
      "-fvisibility-inlines-hidden", "-fno-threadsafe-statics",
      "-isystem", "<!(node -p \"path.dirname(require.resolve('node-addon-api'))\")"
    ],
    "conditions": [
      [ "OS=='linux'", {
        "sources": [
          "linux/close_range.cc",
          "linux/fds.cc",
          "linux/filled_pages.cc",
          "linux/fork.cc",
          "linux/futex.cc",
          "linux/heap_layout.cc",
          "linux/hot_pages.cc",
          "linux/huge_text.cc",
          "linux/identity.cc",
          "linux/inheritance.cc",
          "linux/mappings.cc",
          "linux/process.cc",
          "linux/process_state.cc",
          "linux/selector.cc",
          "linux/spawn.cc",
          "linux/stamp.cc",
          "linux/terminal_signals.cc",
          "linux/zygote.cc",
          "linux/zygote_child.cc",
          "linux/zygote_end.cc"
        ],
        "ldflags": [
          "-Wl,--gc-sections", "-Wl,--as-needed",
          "-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack",
          # A child that outlives the last thread with the addon is reaped by
          # the next one, from a list in static memory.
          "-Wl,-z,nodelete"
        ],
        "conditions": [
          # Other code for atomics needs __getauxval, which musl does not have.
          [ "target_arch=='arm64'", { "cflags": [ "-mno-outline-atomics" ] } ]
        ]
      } ],
      [ "OS=='mac'", {
        "sources": [
          "darwin/fds.cc",
          "darwin/fork.cc",
          "darwin/futex.cc",
          "darwin/process.cc",
          "darwin/selector.cc",
          "darwin/spawn.cc",
          "darwin/stamp.cc"
        ],
        "xcode_settings": {
          "MACOSX_DEPLOYMENT_TARGET": "11.0",
          "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
          "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
          "GCC_ENABLE_CPP_RTTI": "NO",
          "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
          "CLANG_CXX_LIBRARY": "libc++",
          "DEAD_CODE_STRIPPING": "YES",
          "OTHER_CPLUSPLUSFLAGS": [
            "-isystem", "<!(node -p \"path.dirname(require.resolve('node-addon-api'))\")"
          ]
        }
      } ]
    ]
  }]
}
