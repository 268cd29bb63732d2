// Typed reading of a call's arguments. JavaScript has checked them, so one that
// does not convert is our bug: it ends the process and names the line that
// asked for it.
#pragma once
#include <napi.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <uv.h>

struct Bytes {
  uint8_t* data;
  size_t length;
};

struct Ints {
  int32_t* data;
  size_t count;
};

class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : info_(info) {}

  Napi::Env Env() const { return info_.Env(); }
  napi_value At(size_t index) const { return info_[index]; }

  uv_loop_t* Loop() const {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(Env(), &loop);
    return loop;
  }

  double Double(size_t index, int line = __builtin_LINE()) const {
    double value = 0;
    Assert(napi_get_value_double(Env(), At(index), &value) == napi_ok &&
               value == value,
           index, "a number", line);
    return value;
  }

  int Int(size_t index, int line = __builtin_LINE()) const {
    const double value = Double(index, line);
    // The range is checked first: outside of it the conversion is undefined.
    Assert(value >= INT32_MIN && value <= INT32_MAX &&
               value == static_cast<int32_t>(value),
           index, "an int32", line);
    return static_cast<int>(value);
  }

  bool Bool(size_t index, int line = __builtin_LINE()) const {
    bool value = false;
    Assert(napi_get_value_bool(Env(), At(index), &value) == napi_ok, index,
           "a boolean", line);
    return value;
  }

  // All of a typed array.
  template <typename T>
  T View(size_t index, napi_typedarray_type wanted,
         int line = __builtin_LINE()) const {
    napi_typedarray_type type = wanted;
    size_t length = 0;
    void* data = nullptr;
    Assert(napi_get_typedarray_info(Env(), At(index), &type, &length, &data,
                                    nullptr, nullptr) == napi_ok &&
               type == wanted,
           index, "the right typed array", line);
    return {static_cast<decltype(T::data)>(data), length};
  }

  // Three arguments: a Uint8Array, an offset into it and a length.
  Bytes BytesAt(size_t index, int line = __builtin_LINE()) const {
    const Bytes all = View<Bytes>(index, napi_uint8_array, line);
    const double size = static_cast<double>(all.length);
    const double offset = Double(index + 1, line);
    const double length = Double(index + 2, line);
    Assert(offset >= 0 && offset <= size, index + 1, "within the bytes", line);
    Assert(length >= 0 && length <= size - offset, index + 2,
           "within the bytes", line);
    return {all.data + static_cast<size_t>(offset),
            static_cast<size_t>(length)};
  }

  Ints IntsAt(size_t index, size_t at_least,
              int line = __builtin_LINE()) const {
    const Ints ints = View<Ints>(index, napi_int32_array, line);
    Assert(ints.count >= at_least, index, "a longer array", line);
    return ints;
  }

  void Assert(bool is_so, size_t index, const char* expected,
              int line = __builtin_LINE()) const {
    if (is_so) return;
    char place[64];
    char message[96];
    snprintf(place, sizeof place, "native/addon.cc:%d", line);
    snprintf(message, sizeof message, "Assertion: argument %d is %s",
             static_cast<int>(index), expected);
    Napi::Error::Fatal(place, message);
  }

 private:
  const Napi::CallbackInfo& info_;
};
