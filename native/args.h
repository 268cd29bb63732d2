// Reads the arguments that a verb has received from JavaScript, by type.
// Because lib/ passes only checked values, an argument that does not convert is
// a bug of this package: it ends the process with a message that names the
// verb's file and line.
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

struct Doubles {
  double* data;
  size_t count;
};

// A place in the source. As a default argument, it is the place of the call.
struct Place {
  const char* file;
  int line;

  static constexpr Place Here(const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
    return {file, line};
  }
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

  double Double(size_t index, Place place = Place::Here()) const {
    double value = 0;
    Assert(napi_get_value_double(Env(), At(index), &value) == napi_ok &&
               value == value,
           index, "a number", place);
    return value;
  }

  int Int(size_t index, Place place = Place::Here()) const {
    const double value = Double(index, place);
    // The range is checked first: outside of it the conversion is undefined.
    Assert(value >= INT32_MIN && value <= INT32_MAX &&
               value == static_cast<int32_t>(value),
           index, "an int32", place);
    return static_cast<int>(value);
  }

  int Byte(size_t index, Place place = Place::Here()) const {
    const int value = Int(index, place);
    Assert(value >= 0 && value <= UINT8_MAX, index, "a byte", place);
    return value;
  }

  bool Bool(size_t index, Place place = Place::Here()) const {
    bool value = false;
    Assert(napi_get_value_bool(Env(), At(index), &value) == napi_ok, index,
           "a boolean", place);
    return value;
  }

  Napi::Function Function(size_t index, Place place = Place::Here()) const {
    const Napi::Value value(Env(), At(index));
    Assert(value.IsFunction(), index, "a function", place);
    return value.As<Napi::Function>();
  }

  // All of a typed array.
  template <typename T>
  T View(size_t index, napi_typedarray_type wanted,
         Place place = Place::Here()) const {
    napi_typedarray_type type = wanted;
    size_t length = 0;
    void* data = nullptr;
    Assert(napi_get_typedarray_info(Env(), At(index), &type, &length, &data,
                                    nullptr, nullptr) == napi_ok &&
               type == wanted,
           index, "the right typed array", place);
    return {static_cast<decltype(T::data)>(data), length};
  }

  // Three arguments: a Uint8Array, an offset into it and a length.
  Bytes BytesAt(size_t index, Place place = Place::Here()) const {
    const Bytes all = View<Bytes>(index, napi_uint8_array, place);
    const double size = static_cast<double>(all.length);
    const double offset = Double(index + 1, place);
    const double length = Double(index + 2, place);
    Assert(offset >= 0 && offset <= size, index + 1, "within the bytes", place);
    Assert(length >= 0 && length <= size - offset, index + 2,
           "within the bytes", place);
    return {all.data + static_cast<size_t>(offset),
            static_cast<size_t>(length)};
  }

  Ints IntsAt(size_t index, size_t at_least,
              Place place = Place::Here()) const {
    const Ints ints = View<Ints>(index, napi_int32_array, place);
    Assert(ints.count >= at_least, index, "a longer array", place);
    return ints;
  }

  void Assert(bool holds, size_t index, const char* expected,
              Place place = Place::Here()) const {
    if (holds) return;
    char location[256];
    char message[96];
    snprintf(location, sizeof location, "%s:%d", place.file, place.line);
    snprintf(message, sizeof message, "Assertion: argument %zu is %s", index,
             expected);
    Napi::Error::Fatal(location, message);
  }

 private:
  const Napi::CallbackInfo& info_;
};
