#include "../dispatch.h"
namespace foveate { const Table* avx2_table() { return nullptr; } }
