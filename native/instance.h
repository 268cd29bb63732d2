// One instance of the addon: an environment of Node has one for each copy of
// the module that has loaded it. lib/system/binding.ts says what the verbs do.
#pragma once
#include "args.h"

// Called once, when the instance is made.
void StartInstance(Napi::Env env);

int HoldZygote(const Args& args);
int ShareZygote(const Args& args);
int ReleaseZygote(const Args& args);
