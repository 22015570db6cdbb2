// AVX2 with FMA and F16C (Haswell, Zen and later).
#include "../dispatch.h"
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define FOVEATE_TARGET avx2
#define FOVEATE_TARGET_NAME "avx2"
#include "../kernels/vec_avx2.h"
#include "../kernels/target.h"
namespace foveate {
const Table* avx2_table() { return &avx2::kTable; }
}  // namespace foveate
#else
namespace foveate {
const Table* avx2_table() { return nullptr; }
}  // namespace foveate
#endif
