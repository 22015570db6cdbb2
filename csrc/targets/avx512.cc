// AVX-512 with VNNI and BF16 (Zen 4, Sapphire Rapids and later).
#include "../dispatch.h"
#if defined(__AVX512VNNI__) && defined(__AVX512BF16__)
#define FOVEATE_TARGET avx512
#define FOVEATE_TARGET_NAME "avx512"
#include "../kernels/vec_avx512.h"
#include "../kernels/target.h"
namespace foveate {
const Table* avx512_table() { return &avx512::kTable; }
}  // namespace foveate
#else
namespace foveate {
const Table* avx512_table() { return nullptr; }
}  // namespace foveate
#endif
