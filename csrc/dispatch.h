// Which instruction set runs: a table of entry points per target, chosen once, overridable.
#pragma once
#include <string>
#include <vector>

#include "types.h"

namespace foveate {

struct Table {
  const char* name;
  int lanes;  // floats per vector
  int rows;   // query rows per micro-kernel: Queries are packed in groups of this many
  void (*encode_keys_values)(KV&, const View& k, const View& v, int64_t first_tile, int threads);
  void (*encode_queries)(Queries&, const Call&);
  void (*attend)(const Call&, const Queries&);
  void (*attend_direct)(const Call&, const View& k, const View& v, PKind p,
                        const Segments&);  // call.kv is not used
  void (*backward)(const Gradient&);
  void (*backward_int8)(const Gradient&, const KV&, const Queries&);  // codes as the forward wrote them
  void (*block_means)(const MeansCall&, int threads);
  void (*antidiagonal)(const AntidiagonalCall&, int threads);
};

const Table* portable_table();
const Table* avx2_table();  // null where the target was not built
const Table* avx512_table();

std::vector<std::string> built_targets();
std::vector<std::string> available_targets();  // built, and supported by this processor
const Table& active_target();
void set_target(const std::string& name);  // throws std::invalid_argument; "" chooses again

// Spends the budget of every row; the same on every target.
void choose_blocks(const ChoiceCall&, int threads);

// Encodes the queries, then attends.
void run_attention(const Call&, const Table&);

// Encodes queries, keys and values as the forward did, then goes back in 8 bits.
void run_backward_int8(const Gradient&, const Formats&, const Table&);

}  // namespace foveate
