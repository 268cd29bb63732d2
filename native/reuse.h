// The verbs for processes that run several jobs: for the page that such a
// worker shares with its submitter, and for what it finds when a job begins.
#pragma once
#include <napi.h>

#include "args.h"

int Stamp(const Args& args);
int EnvironmentStamp(const Args& args);
int PageFile(const Args& args);
// Returns an ArrayBuffer, or -errno.
Napi::Value MapPage(const Napi::CallbackInfo& info);
// An empty array: the token is the one that guardToken or giveToken names.
int ShareToken(const Args& args);
