// How a verb becomes a function of the addon.
#pragma once
#include <napi.h>

#include "args.h"

template <int (*verb)(const Args&)>
Napi::Value Call(const Napi::CallbackInfo& info) {
  napi_value result = nullptr;
  napi_create_int32(info.Env(), verb(Args(info)), &result);
  return Napi::Value(info.Env(), result);
}

// A verb that returns a number.
template <int (*verb)(const Args&)>
void Export(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<Call<verb>>(exports.Env(), name));
}

// A verb that returns another value.
template <Napi::Value (*verb)(const Napi::CallbackInfo&)>
void ExportValue(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<verb>(exports.Env(), name));
}
