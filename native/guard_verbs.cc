#include "guard_verbs.h"

#include "args.h"
#include "export.h"
#include "posix.h"

namespace {

int GiveToken(const Args& args) {
  return sys::GiveToken(args.Int(0), static_cast<uint8_t>(args.Byte(1)));
}

int GuardToken(const Args& args) {
  return sys::GuardToken(args.Int(0), args.Int(1), args.Int(2),
                         static_cast<uint8_t>(args.Byte(3)));
}

int KeepGuard(const Args& args) { return sys::KeepGuard(args.Int(0)); }

int SetGrace(const Args& args) { return sys::SetGrace(args.Double(0)); }

int FeedSignal(const Args& args) {
  return sys::FeedSignal(args.Int(0), args.Int(1));
}

int FedSignal(const Args& args) {
  return sys::FedSignal(args.IntsAt(0, 2).data);
}

int ForgetFed(const Args&) { return sys::ForgetFed(); }

int OrphanPatience(const Args&) { return sys::OrphanPatience(); }

int SetLenders(const Args& args) {
  const Ints fds = args.IntsAt(0, 0);
  return sys::SetLenders(fds.data, fds.count);
}

int SetLent(const Args& args) { return sys::SetLent(args.Bool(0)); }

int SetOrphanSignaler(const Args& args) {
  return sys::SetOrphanSignaler(args.Int(0));
}

int GuardGroup(const Args& args) { return sys::GuardGroup(args.Bool(0)); }

int HasChildInGroup(const Args&) { return sys::HasChildInGroup(); }

int EndGroup(const Args&) { return sys::EndGroup(); }

}  // namespace

void ExportGuard(Napi::Object exports) {
  Export<GuardGroup>(exports, "guardGroup");
  Export<HasChildInGroup>(exports, "hasChildInGroup");
  Export<EndGroup>(exports, "endGroup");
  Export<GiveToken>(exports, "giveToken");
  Export<GuardToken>(exports, "guardToken");
  Export<KeepGuard>(exports, "keepGuard");
  Export<SetGrace>(exports, "setGrace");
  Export<FeedSignal>(exports, "feedSignal");
  Export<FedSignal>(exports, "fedSignal");
  Export<OrphanPatience>(exports, "orphanPatience");
  Export<ForgetFed>(exports, "forgetFed");
  Export<SetLenders>(exports, "setLenders");
  Export<SetLent>(exports, "setLent");
  Export<SetOrphanSignaler>(exports, "setOrphanSignaler");
}
