// The verbs for processes that run several jobs: for the token of such a
// worker, for the files of large messages, and for what it finds when a job
// begins.
#pragma once
#include "args.h"

int Stamp(const Args& args);
int EnvironmentStamp(const Args& args);
int SealFile(const Args& args);
int CheckSealed(const Args& args);
// An empty array: the token is the one that guardToken or giveToken names.
int ShareToken(const Args& args);
