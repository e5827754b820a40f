#pragma once

// One register of the instruction set, and vectors that are several of them, as two halves: of the compiler's
// own vectors of such a size GCC 12 compares each lane by itself, and keeps many of them in memory.

#include <cstddef>
#include <cstdint>

#define MMBATCH_INLINE static inline __attribute__((always_inline))

namespace mmbatch::MMBATCH_ISA {

#if defined(__AVX512F__)
constexpr std::size_t kRegisterBytes = 64, kRegisters = 32;
#elif defined(__AVX2__)
constexpr std::size_t kRegisterBytes = 32, kRegisters = 16;
#else
constexpr std::size_t kRegisterBytes = 16, kRegisters = 16;
#endif
constexpr std::size_t kRegisterLanes = kRegisterBytes / 4;
typedef float FloatRegister __attribute__((vector_size(kRegisterBytes)));
typedef std::int32_t IntRegister __attribute__((vector_size(kRegisterBytes)));
typedef std::uint32_t WordRegister __attribute__((vector_size(kRegisterBytes)));

template <class Half, class Lane>
struct Halves;

template <class Vector>
constexpr bool kInHalves = false;
template <class Half, class Lane>
constexpr bool kInHalves<Halves<Half, Lane>> = true;

#define MMBATCH_OPERATOR(op)                                                                          \
  friend __attribute__((always_inline)) inline Halves operator op(const Halves& a, const Halves& b) { \
    return {a.front op b.front, a.back op b.back};                                                    \
  }                                                                                                   \
  friend __attribute__((always_inline)) inline Halves operator op(const Halves& a, Lane b) {          \
    return {a.front op b, a.back op b};                                                               \
  }                                                                                                   \
  friend __attribute__((always_inline)) inline Halves operator op(Lane a, const Halves& b) {          \
    return {a op b.front, a op b.back};                                                               \
  }

/// Computes as a vector of the compiler's does, with others and with numbers.
template <class Half_, class Lane>
struct Halves {
  using Half = Half_;

  Half front, back;

  /// The same bits as lanes of another type.
  template <class To>
  requires kInHalves<To>
  __attribute__((always_inline)) explicit operator To() const {
    return {(typename To::Half)front, (typename To::Half)back};
  }
  __attribute__((always_inline)) Lane operator[](std::size_t lane) const {
    constexpr std::size_t kLanesOfHalf = sizeof(Half) / sizeof(Lane);
    return lane < kLanesOfHalf ? front[lane] : back[lane - kLanesOfHalf];
  }
  friend __attribute__((always_inline)) inline Halves operator-(const Halves& a) {
    return {-a.front, -a.back};
  }
  friend __attribute__((always_inline)) inline Halves operator~(const Halves& a) {
    return {~a.front, ~a.back};
  }
  MMBATCH_OPERATOR(+)
  MMBATCH_OPERATOR(-)
  MMBATCH_OPERATOR(*)
  MMBATCH_OPERATOR(/)
  MMBATCH_OPERATOR(&)
  MMBATCH_OPERATOR(|)
  MMBATCH_OPERATOR(<<)
  MMBATCH_OPERATOR(>>)
};
#undef MMBATCH_OPERATOR

/// change(a) and join(a, b), register by register.
template <class Result, class Vector, class Change>
MMBATCH_INLINE Result by_registers(const Vector& a, Change change) {
  if constexpr (kInHalves<Vector>)
    return {by_registers<typename Result::Half>(a.front, change),
            by_registers<typename Result::Half>(a.back, change)};
  else
    return change(a);
}
template <class Result, class Vector, class Join>
MMBATCH_INLINE Result by_registers(const Vector& a, const Vector& b, Join join) {
  if constexpr (kInHalves<Vector>)
    return {by_registers<typename Result::Half>(a.front, b.front, join),
            by_registers<typename Result::Half>(a.back, b.back, join)};
  else
    return join(a, b);
}

/// A vector out of memory that holds `bytes` for each lane, which read(p) turns into a register.
template <class Vector, std::size_t bytes, class Read>
MMBATCH_INLINE Vector read_registers(const std::byte* p, Read read) {
  if constexpr (kInHalves<Vector>) {
    using Half = typename Vector::Half;
    return {read_registers<Half, bytes>(p, read),
            read_registers<Half, bytes>(p + sizeof(Half) / 4 * bytes, read)};
  } else {
    return read(p);
  }
}

template <class Vector>
MMBATCH_INLINE Vector load_vector(const void* p) {
  if constexpr (kInHalves<Vector>) {
    using Half = typename Vector::Half;
    return {load_vector<Half>(p), load_vector<Half>(static_cast<const std::byte*>(p) + sizeof(Half))};
  } else {
    Vector v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  }
}
template <class Vector>
MMBATCH_INLINE void store_vector(void* p, const Vector& v) {
  if constexpr (kInHalves<Vector>) {
    store_vector(p, v.front);
    store_vector(static_cast<std::byte*>(p) + sizeof(v.front), v.back);
  } else {
    __builtin_memcpy(p, &v, sizeof(v));
  }
}

}  // namespace mmbatch::MMBATCH_ISA
