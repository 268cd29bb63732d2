{
  # No name of a variable may be one of node's config.gypi, which would win.
  "variables": { "addon_sanitize%": "", "addon_coverage%": 0, "addon_werror%": 0 },
  "targets": [{
    "target_name": "jobserver",
    "sources": [
      "native/addon.cc",
      "native/guard.cc",
      "native/pipe.cc",
      "native/poll.cc",
      "native/reap.cc",
      "native/watcher.cc"
    ],
    "variables": { "napi_dir": "<!(node -p \"path.resolve(require('node-addon-api').include_dir)\")" },
    "defines": [ "NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS" ],
    # Else fcntl becomes fcntl64, which musl lacks.
    "defines!": [ "_FILE_OFFSET_BITS=64", "_LARGEFILE_SOURCE" ],
    "cflags!": [ "-O3", "-fno-omit-frame-pointer" ],
    "cflags_cc!": [ "-std=gnu++17", "-std=gnu++20" ],
    "cflags": [
      "-O2", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections",
      "-Wall", "-Wextra", "-Wshadow", "-isystem", "<(napi_dir)"
    ],
    "cflags_cc": [
      "-std=c++17", "-fno-exceptions", "-fno-rtti",
      "-fvisibility-inlines-hidden", "-fno-threadsafe-statics"
    ],
    "conditions": [
      [ "addon_werror==1", { "cflags": [ "-Werror" ] } ],
      [ "OS=='linux'", {
        "sources": [ "native/linux.cc", "native/spawn_linux.cc" ],
        "ldflags": [
          "-Wl,--gc-sections", "-Wl,--as-needed", "-Wl,-z,relro,-z,now",
          "-Wl,-z,noexecstack"
        ],
        "conditions": [
          [ "target_arch=='x64'", { "cflags": [ "-mtls-dialect=gnu2" ] } ],
          [ "target_arch=='arm64'", { "cflags": [ "-mno-outline-atomics" ] } ]
        ]
      } ],
      [ "OS=='mac'", {
        "sources": [ "native/darwin.cc", "native/spawn_darwin.cc" ],
        "include_dirs": [ "<(napi_dir)" ],
        "xcode_settings": {
          "MACOSX_DEPLOYMENT_TARGET": "11.0",
          "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
          "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
          "GCC_ENABLE_CPP_RTTI": "NO",
          "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
          "DEAD_CODE_STRIPPING": "YES"
        }
      } ],
      [ "addon_sanitize!=''", {
        "cflags!": [ "-mtls-dialect=gnu2", "-O2" ],
        "cflags": [ "-fsanitize=<(addon_sanitize)", "-fno-omit-frame-pointer", "-g", "-O1" ],
        "ldflags": [ "-fsanitize=<(addon_sanitize)" ]
      } ],
      [ "addon_coverage==1", {
        "cflags!": [ "-O2" ],
        "cflags": [ "--coverage", "-O0", "-g" ],
        "ldflags": [ "--coverage" ]
      } ]
    ]
  }]
}
