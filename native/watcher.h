// Watches an fd on the event loop of the environment that calls.
#pragma once
#include <napi.h>

// Exports these functions:
// - watch(fd, onReadable): calls onReadable whenever fd is readable, until
//   unwatch. Returns the handle for the other two functions, or -errno.
// - unwatch(handle)
// - refWatch(handle, on): whether the watch keeps the loop alive, as it does at
//   first.
void ExportWatch(Napi::Env env, Napi::Object exports);
