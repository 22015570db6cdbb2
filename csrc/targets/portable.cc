// Any processor; also what the other targets are tested against.
#define FOVEATE_TARGET portable
#define FOVEATE_TARGET_NAME "portable"
#include "../kernels/vec_portable.h"
#include "../kernels/target.h"
namespace foveate {
const Table* portable_table() { return &portable::kTable; }
}  // namespace foveate
