#include "files.h"

#include <stddef.h>

#include "args.h"
#include "export.h"
#include "instance.h"
#include "posix.h"
#include "strings.h"

namespace {

int Pipe(const Args& args) {
  const Ints ends = args.IntsAt(0, 2);
  return OwnAll(args, sys::Pipe(ends.data), {ends.data, 2});
}

int Open(const Args& args) {
  const Strings path(args, 0);
  if (path.error() < 0) return path.error();
  return Own(args, sys::Open(path.first(), args.Int(1)));
}

int Duplicate(const Args& args) {
  return Own(args, sys::Duplicate(args.Int(0)));
}

int DuplicateTo(const Args& args) {
  return sys::DuplicateTo(args.Int(0), args.Int(1));
}

int LockFile(const Args& args) {
  return sys::LockFile(args.Int(0), args.Bool(1));
}

int Close(const Args& args) {
  const int fd = args.Int(0);
  // Before, because another thread may open the number as soon as it is closed.
  HoldingsOf(args)->RemoveFd(fd);
  return sys::Close(fd);
}

int SetCloseOnExec(const Args& args) {
  return sys::SetCloseOnExec(args.Int(0), args.Bool(1));
}

int SetNonBlocking(const Args& args) {
  return sys::SetNonBlocking(args.Int(0), args.Bool(1));
}

int Read(const Args& args) {
  const Bytes bytes = args.BytesAt(1);
  const int fd = args.Int(0);
  return Input(args, fd, sys::Read(fd, bytes.data, bytes.length));
}

int Write(const Args& args) {
  const Bytes bytes = args.BytesAt(1);
  return sys::Write(args.Int(0), bytes.data, bytes.length);
}

off_t PositionAt(const Args& args, size_t index) {
  const double position = args.Double(index);
  constexpr double kMostSafe = 9007199254740991;
  args.Assert(position >= 0 && position <= kMostSafe, index, "a position");
  return static_cast<off_t>(position);
}

int ReadAt(const Args& args) {
  const Bytes bytes = args.BytesAt(1);
  return sys::ReadAt(args.Int(0), bytes.data, bytes.length,
                     PositionAt(args, 4));
}

int WriteAt(const Args& args) {
  const Bytes bytes = args.BytesAt(1);
  return sys::WriteAt(args.Int(0), bytes.data, bytes.length,
                      PositionAt(args, 4));
}

int AnonymousFile(const Args& args) { return Own(args, sys::AnonymousFile()); }

int LockByte(const Args& args) {
  const int position = args.Int(1);
  args.Assert(position >= 0, 1, "a position");
  return sys::LockByte(args.Int(0), position, args.Bool(2));
}

}  // namespace

void ExportFiles(Napi::Object exports) {
  Export<Pipe>(exports, "pipe");
  Export<Open>(exports, "open");
  Export<Duplicate>(exports, "dup");
  Export<DuplicateTo>(exports, "dup2");
  Export<LockFile>(exports, "lockFile");
  Export<Close>(exports, "close");
  Export<SetCloseOnExec>(exports, "setCloseOnExec");
  Export<SetNonBlocking>(exports, "setNonBlocking");
  Export<Read>(exports, "read");
  Export<Write>(exports, "write");
  Export<ReadAt>(exports, "readAt");
  Export<WriteAt>(exports, "writeAt");
  Export<AnonymousFile>(exports, "anonymousFile");
  Export<LockByte>(exports, "lockByte");
}
