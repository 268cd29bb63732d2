// Watches an fd on the event loop of the environment that calls.
#pragma once
#include <napi.h>

// watch(fd, onReadable): calls onReadable whenever fd is readable, until
// unwatch. Returns the handle for the other two functions, or -errno.
Napi::Value Watch(const Napi::CallbackInfo& info);
// unwatch(handle)
void Unwatch(const Napi::CallbackInfo& info);
// refWatch(handle, on): whether the watch keeps the loop alive, as it does at
// first.
void RefWatch(const Napi::CallbackInfo& info);
