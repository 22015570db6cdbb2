#include "../dispatch.h"
namespace foveate { const Table* portable_table() { return nullptr; } }
