#include "segments.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "args.h"
#include "export.h"
#include "instance.h"
#include "lock.h"
#include "mapping_counts.h"
#include "posix.h"

namespace {

// What JavaScript asks of a mapping; lib/system/segment-verbs.ts has the
// numbers.
constexpr int kReadOnly = 1;
constexpr int kShared = 2;
constexpr int kBorrowed = 4;
constexpr int kAllocated = 8;
constexpr int kUncounted = 16;

constexpr double kMostSize = 9007199254740991;

// A mapping is the object of one JavaScript handle, and of the buffers over
// parts of it. It is unmapped when it is not held and has no buffer; the struct
// lives as long as the handle and the buffers. The threads of a process have
// their own mappings, in one list.
struct Mapping {
  char* base;
  size_t size;
  int flags;
  bool is_held;
  // Its memory belongs to this process alone.
  bool is_private;
  size_t views;
  bool has_handle;
  Mapping* previous;
  Mapping* next;
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Mapping* all = nullptr;

Use UseOf(int flags) {
  if ((flags & kUncounted) != 0) return kForNothing;
  if ((flags & kShared) != 0) return kForShared;
  return (flags & kAllocated) != 0 ? kForAllocated : kForReceived;
}

void Add(Mapping* mapping) {
  mapping->next = all;
  if (all != nullptr) all->previous = mapping;
  all = mapping;
}

void Remove(Mapping* mapping) {
  if (mapping->previous != nullptr) mapping->previous->next = mapping->next;
  if (mapping->next != nullptr) mapping->next->previous = mapping->previous;
  if (all == mapping) all = mapping->next;
}

// Its owner may use the segment again.
void GiveBack(const Mapping* mapping) {
  if ((mapping->flags & kBorrowed) == 0 || mapping->is_private) return;
  sys::GiveBack(mapping->base);
}

// With the lock.
void FreeUnused(Mapping* mapping) {
  if (mapping->views > 0) return;
  if (!mapping->is_held && mapping->base != nullptr) {
    sys::Unmap(mapping->base, mapping->size);
    mapping->base = nullptr;
    UncountMapping(UseOf(mapping->flags), mapping->size);
  }
  if (mapping->has_handle || mapping->base != nullptr) return;
  Remove(mapping);
  delete mapping;
}

void EndHandle(napi_env, void* data, void*) {
  const Lock lock(&mutex);
  auto* mapping = static_cast<Mapping*>(data);
  mapping->is_held = false;
  mapping->has_handle = false;
  FreeUnused(mapping);
}

void EndView(napi_env, void*, void* hint) {
  const Lock lock(&mutex);
  auto* mapping = static_cast<Mapping*>(hint);
  mapping->views -= 1;
  if (mapping->views == 0) GiveBack(mapping);
  FreeUnused(mapping);
}

Mapping* MappingAt(const Args& args, size_t index) {
  void* data = nullptr;
  args.Assert(
      napi_get_value_external(args.Env(), args.At(index), &data) == napi_ok,
      index, "a mapping");
  return static_cast<Mapping*>(data);
}

size_t SizeAt(const Args& args, size_t index) {
  const double value = args.Double(index);
  args.Assert(value >= 0 && value <= kMostSize, index, "a size");
  return static_cast<size_t>(value);
}

Napi::Value Failure(napi_env env, int error) {
  return Napi::Number::New(env, error);
}

int SegmentFile(const Args& args) {
  return Own(args, sys::SegmentFile(SizeAt(args, 0)));
}

int InspectSegment(const Args& args) {
  const int fd = args.Int(0);
  const Doubles numbers = args.View<Doubles>(1, napi_float64_array);
  args.Assert(numbers.count >= 3, 1, "a longer array");
  const int result = sys::IsSealedSegment(fd);
  if (result < 0) return result;
  struct stat file;
  const int error = sys::StatFile(fd, &file);
  if (error < 0) return error;
  numbers.data[0] = static_cast<double>(file.st_ino);
  numbers.data[1] = static_cast<double>(file.st_size);
  numbers.data[2] = static_cast<double>(file.st_dev);
  return result;
}

int MakeConstant(const Args& args) { return sys::MakeConstant(args.Int(0)); }

Napi::Value MapSegment(const Napi::CallbackInfo& info) {
  const Args args(info);
  const size_t size = SizeAt(args, 1);
  const int flags = args.Int(2);
  const Use use = UseOf(flags);
  if (!CountMapping(use, size)) {
    return Failure(info.Env(), use == kForShared ? -ENOMEM : -ENOBUFS);
  }
  void* base = nullptr;
  const int result =
      sys::Map(args.Int(0), size, (flags & kReadOnly) == 0, &base);
  if (result < 0) {
    UncountMapping(use, size);
    return Failure(info.Env(), result);
  }
  auto* mapping = new Mapping{};
  mapping->base = static_cast<char*>(base);
  mapping->size = size;
  mapping->flags = flags;
  mapping->is_held = true;
  mapping->has_handle = true;
  {
    const Lock lock(&mutex);
    Add(mapping);
  }
  napi_value handle = nullptr;
  if (napi_create_external(info.Env(), mapping, EndHandle, nullptr, &handle) ==
      napi_ok) {
    return Napi::Value(info.Env(), handle);
  }
  EndHandle(info.Env(), mapping, nullptr);
  return Failure(info.Env(), -ENOMEM);
}

Napi::Value ViewSegment(const Napi::CallbackInfo& info) {
  const Args args(info);
  Mapping* mapping = MappingAt(args, 0);
  const size_t offset = SizeAt(args, 1);
  const size_t length = SizeAt(args, 2);
  args.Assert(mapping->base != nullptr, 0, "mapped");
  args.Assert(offset <= mapping->size && length <= mapping->size - offset, 1,
              "within the segment");
  {
    const Lock lock(&mutex);
    mapping->views += 1;
  }
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(info.Env(), mapping->base + offset,
                                       length, EndView, mapping,
                                       &buffer) == napi_ok) {
    return Napi::Value(info.Env(), buffer);
  }
  {
    const Lock lock(&mutex);
    mapping->views -= 1;
  }
  return Failure(info.Env(), -ENOTSUP);
}

int UnmapSegment(const Args& args) {
  const Lock lock(&mutex);
  Mapping* mapping = MappingAt(args, 0);
  mapping->is_held = false;
  FreeUnused(mapping);
  return 0;
}

int ViewsOfSegment(const Args& args) {
  const Lock lock(&mutex);
  return static_cast<int>(MappingAt(args, 0)->views);
}

int MappedSegments(const Args& args) {
  const Doubles numbers = args.View<Doubles>(0, napi_float64_array);
  args.Assert(numbers.count >= 2 * kUses, 0, "a longer array");
  CountedMappings(numbers.data);
  return 0;
}

int LimitSegments(const Args& args) {
  const double bytes = args.Double(0);
  args.Assert(bytes >= 0, 0, "a number of bytes");
  LimitMappings(bytes);
  return 0;
}

Napi::Value SegmentLimit(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), MappingLimit());
}

int MakeSegmentsPrivate(const Args&) {
  const Lock lock(&mutex);
  for (Mapping* mapping = all; mapping != nullptr; mapping = mapping->next) {
    if ((mapping->flags & (kShared | kReadOnly)) != 0) continue;
    if (mapping->is_private || mapping->views == 0) continue;
    const int result = sys::MakePrivate(mapping->base, mapping->size,
                                        (mapping->flags & kBorrowed) != 0);
    if (result < 0) return result;
    mapping->is_private = true;
  }
  return 0;
}

int32_t* WordAt(const Args& args) {
  const int index = args.Int(1);
  args.Assert(index >= 0, 1, "not negative");
  return args.IntsAt(0, static_cast<size_t>(index) + 1).data + index;
}

int WaitWord(const Args& args) {
  return sys::WaitWord(WordAt(args), args.Int(2), args.Double(3));
}

int WakeWord(const Args& args) {
  return sys::WakeWord(WordAt(args), args.Int(2));
}

int DetachBuffer(const Args& args) {
  return napi_detach_arraybuffer(args.Env(), args.At(0)) == napi_ok ? 0
                                                                    : -EINVAL;
}

}  // namespace

void ExportSegments(Napi::Object exports) {
  Export<SegmentFile>(exports, "segmentFile");
  Export<InspectSegment>(exports, "inspectSegment");
  Export<MakeConstant>(exports, "makeConstant");
  ExportValue<MapSegment>(exports, "mapSegment");
  ExportValue<ViewSegment>(exports, "viewSegment");
  Export<UnmapSegment>(exports, "unmapSegment");
  Export<ViewsOfSegment>(exports, "viewsOfSegment");
  Export<MappedSegments>(exports, "mappedSegments");
  Export<LimitSegments>(exports, "limitSegments");
  ExportValue<SegmentLimit>(exports, "segmentLimit");
  Export<MakeSegmentsPrivate>(exports, "makeSegmentsPrivate");
  Export<WaitWord>(exports, "waitWord");
  Export<WakeWord>(exports, "wakeWord");
  Export<DetachBuffer>(exports, "detachBuffer");
}
