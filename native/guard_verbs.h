// The verbs of a worker for its token and its signals; see guard.cc.
#pragma once
#include <napi.h>

// Adds the verbs; lib/system/guard-verbs.ts says what they do.
void ExportGuard(Napi::Object exports);
