// Readability of an fd, told by the event loop of the environment that asked.
#pragma once
#include <napi.h>

// Calls onReadable until Unwatch; gives the handle for the two functions below,
// or a negative errno. The loop is held open unless RefWatch says otherwise.
Napi::Value Watch(const Napi::CallbackInfo& info);
void Unwatch(const Napi::CallbackInfo& info);
void RefWatch(const Napi::CallbackInfo& info);
