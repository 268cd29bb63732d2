// The verbs for the page that a submitter shares with a worker which runs
// several jobs.
#pragma once
#include <napi.h>

#include "args.h"

int PageFile(const Args& args);
// Returns an ArrayBuffer, or -errno.
Napi::Value MapPage(const Napi::CallbackInfo& info);
// An empty array: the token is the one that guardToken or giveToken names.
int ShareToken(const Args& args);
