// The verbs of fork and forkserver, and the event loop in a forked child.
#pragma once
#include <napi.h>

void InitForking(Napi::Env env, Napi::Object exports);
