#include "reuse.h"

#include "posix.h"
#include "stamp.h"

int Stamp(const Args& args) {
  return args.Bool(0) ? sys::RightsStamp() : sys::StateStamp();
}

int EnvironmentStamp(const Args&) { return sys::EnvironmentStamp(); }

int SealFile(const Args& args) { return sys::SealFile(args.Int(0)); }

int CheckSealed(const Args& args) { return sys::CheckSealed(args.Int(0)); }

int ShareToken(const Args& args) {
  const Ints words = args.IntsAt(0, 0);
  return sys::ShareToken(words.count == 0 ? nullptr : words.data);
}
