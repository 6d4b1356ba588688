{
  "targets": [
    {
      "target_name": "node_blcr",
      "conditions": [
        ["OS=='linux'", {
          "sources": [
            "native/addon/module.cc",
            "native/addon/checkpoint.cc",
            "native/addon/child.cc",
            "native/addon/digest.cc",
            "native/addon/errors.cc",
            "native/addon/fd_watch.cc",
            "native/addon/library.cc",
            "native/addon/memory.cc",
            "native/addon/request.cc",
            "native/addon/restart.cc",
            "native/addon/system.cc",
            "native/addon/turn.cc",
            "native/digest/sha256.cc",
            "native/compat/glibc.c"
          ],
          "include_dirs": ["native", "native/include"],
          "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NAPI_DISABLE_CPP_EXCEPTIONS",
                      # a thread may be ended while it loads the addon: without this the whole process would be
                      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
          "cflags_cc!": ["-std=gnu++17", "-fno-exceptions"],
          # -isystem: the headers of others are not held to our warnings
          "cflags_cc": [
            "-isystem <!(node -p \"require('path').dirname(require.resolve('node-addon-api'))\")",
            "-std=c++20", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror",
            "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-fvisibility-inlines-hidden"
          ],
          "ldflags": ["-static-libgcc", "-static-libstdc++", "-Wl,-z,now", "-Wl,-z,relro"],
          "libraries": ["-ldl"]
        }, { "type": "none" }]
      ]
    }
  ]
}
