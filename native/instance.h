// One instance of the addon: an environment of Node has one for each copy of
// the module that has loaded it. lib/system/binding.ts says what the verbs do.
#pragma once
#include "args.h"
#include "holdings.h"

// Called once, when the instance is made.
void StartInstance(Napi::Env env);
// Node runs its main thread on the default loop of libuv.
bool IsMainThread(Napi::Env env);
sys::Holdings* HoldingsOf(const Args& args);

// Record fds that a verb has opened, until JavaScript closes them, and return
// the result of the verb.
int Own(const Args& args, int fd);
int OwnAll(const Args& args, int result, const Ints& fds);

// Records that a job has written, if the fd is that of its result, and returns
// the count.
int Input(const Args& args, int fd, int count);

int TakeToken(const Args& args);
int ReturnToken(const Args& args);
int BindToken(const Args& args);
int UnbindToken(const Args& args);
int EndWithThread(const Args& args);
int EndForkWithThread(const Args& args);
int ReceiveReport(const Args& args);
int HoldZygote(const Args& args);
int ShareZygote(const Args& args);
int ReleaseZygote(const Args& args);
