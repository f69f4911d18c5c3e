// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

func.func @sizes_are_compared_by_name(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x8xf32, #nn.dims<["B", "_"]>>) {
  // expected-error @+1 {{sizes do not broadcast: [T, 8] with [B, 8] (T is not B)}}
  %0 = nn.add %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["B", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @a_dynamic_size_has_a_name(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{a dynamic dimension needs a name}}
  %0 = nn.neg %x : (tensor<?x8xf32>) -> tensor<?x8xf32>
  func.return
}

// -----

// expected-error @+1 {{size 'B + T' is not in normal form, which is 'B+T'}}
func.func @sizes_have_one_spelling(%x: tensor<?xf32, #nn.dims<["B + T"]>>) {
  func.return
}

// -----

func.func @result_types_follow_from_operands(%x: tensor<4xf32>) {
  // expected-error @+1 {{the result is tensor<5xf32>, but its operands make it tensor<4xf32>}}
  %0 = nn.neg %x : (tensor<4xf32>) -> tensor<5xf32>
  func.return
}

// -----

func.func @arith_on_mixed_types(%x: tensor<4xf32>, %y: tensor<4xbf16>) {
  // expected-error @+1 {{nn.mul takes operands of one element type, not f32, bf16}}
  %0 = nn.mul %x, %y : (tensor<4xf32>, tensor<4xbf16>) -> tensor<4xf32>
  func.return
}

// -----

func.func @select_needs_a_condition(%x: tensor<4xf32>) {
  // expected-error @+1 {{nn.select chooses by i1, not by f32}}
  %0 = nn.select %x, %x, %x : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

func.func @linear_contracts_the_last_axis(%x: tensor<2x8xbf16>, %w: tensor<4x9xbf16>) {
  // expected-error @+1 {{nn.linear contracts 8 with 9: x is [2, 8], the weight [4, 9]}}
  %0 = nn.linear %x, %w : (tensor<2x8xbf16>, tensor<4x9xbf16>) -> tensor<2x4xbf16>
  func.return
}

// -----

func.func @reshape_keeps_elements(%x: tensor<2x8xbf16>) {
  // expected-error @+1 {{nn.reshape from [2, 8] to [3, 8] changes the number of elements}}
  %0 = nn.reshape %x : (tensor<2x8xbf16>) -> tensor<3x8xbf16>
  func.return
}

// -----

func.func @slice_stays_inside(%x: tensor<2x8xbf16>) {
  // expected-error @+1 {{nn.slice up to 9 of a dimension of 8}}
  %0 = nn.slice %x {axis = 1 : i64, stop = "9"} : (tensor<2x8xbf16>) -> tensor<2x9xbf16>
  func.return
}

// -----

func.func @transpose_is_a_permutation(%x: tensor<2x8xbf16>) {
  // expected-error @+1 {{[0, 0] is no permutation of 2 dimensions}}
  %0 = nn.transpose %x {perm = array<i64: 0, 0>} : (tensor<2x8xbf16>) -> tensor<2x2xbf16>
  func.return
}

// -----

func.func @reduce_has_kinds(%x: tensor<2x8xbf16>) {
  // expected-error @+1 {{nn.reduce has no kind 'sum'}}
  %0 = nn.reduce %x {kind = "sum", axes = array<i64: 1>} : (tensor<2x8xbf16>) -> tensor<2xbf16>
  func.return
}

// -----

func.func @heads_divide(%q: tensor<4x3x8xf32>, %k: tensor<4x2x8xf32>) {
  // expected-error @+1 {{3 query heads are no multiple of 2 key heads}}
  %0 = nn.attention %q keys(%k, %k) {scale = 1.0 : f64, mask = #nn.mask<causal = true>} : (tensor<4x3x8xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>) -> tensor<4x3x8xf32>
  func.return
}

// -----

func.func @attention_reads_something(%q: tensor<4x3x8xf32>) {
  // expected-error @+1 {{nn.attention needs keys(%k, %v) or state(%kv)}}
  %0 = nn.attention %q {scale = 1.0 : f64, mask = #nn.mask<causal = true>} : (tensor<4x3x8xf32>) -> tensor<4x3x8xf32>
  func.return
}

// -----

func.func @param_has_the_type_of_its_weight() {
  // expected-error @+1 {{nn.param @w is tensor<4xbf16>, but the weight is tensor<5xbf16>}}
  %0 = nn.param @w : tensor<4xbf16>
  func.return
}
nn.weight @w {
  %0 = nn.entry "w" : tensor<5xbf16>
  nn.yield %0 : tensor<5xbf16>
}

// -----

func.func @no_such_op(%x: tensor<4xf32>) {
  // expected-error @below {{Operation nn.frobnicate is not registered}}
  %0 = nn.frobnicate %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

func.func @uses_stand_after_definitions(%x: tensor<4xf32>) {
  // expected-error @below {{operand 0 of nn.neg is used before it is defined}}
  %0 = nn.neg %1 : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nn.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

func.func @a_state_has_one_updater(%kv: !nn.state<token, tensor<2x2x16xbf16>>, %k: tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, %b: !nn.batch<"T", "B">) {
  // expected-error @below {{nn.append and nn.append both update one state}}
  %0 = nn.append %kv, %k, %k, %b : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>
  // expected-error @below {{nn.append and nn.append both update one state}}
  %1 = nn.append %kv, %k, %k, %b : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>
  func.return
}

// -----

func.func @an_old_state_is_not_read(%kv: !nn.state<token, tensor<2x2x16xbf16>>, %k: tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, %b: !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>> {
  // expected-error @below {{func.return reads a state after nn.append has updated it}}
  %0 = nn.append %kv, %k, %k, %b : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, tensor<?x2x16xbf16, #nn.dims<["T", "_", "_"]>>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>
  func.return %kv : !nn.state<token, tensor<2x2x16xbf16>>
}

// -----

func.func @keys_have_the_states_elements(%kv: !nn.state<token, tensor<2x2x16xbf16>>, %k: tensor<?x2x16xf32, #nn.dims<["T", "_", "_"]>>, %b: !nn.batch<"T", "B">) {
  // expected-error @below {{nn.append of f32 to a state of bf16}}
  %0 = nn.append %kv, %k, %k, %b : (!nn.state<token, tensor<2x2x16xbf16>>, tensor<?x2x16xf32, #nn.dims<["T", "_", "_"]>>, tensor<?x2x16xf32, #nn.dims<["T", "_", "_"]>>, !nn.batch<"T", "B">) -> !nn.state<token, tensor<2x2x16xbf16>>
  func.return
}

// -----

func.func @masks_are_queries_by_keys(%q: tensor<4x2x16xf32>, %m: tensor<4x5xi1>) {
  // expected-error @below {{the mask of nn.attention is [4, 4] for each head, not [4, 5]}}
  %0 = nn.attention %q keys(%q, %q) mask(%m) {scale = 1.0 : f64, mask = #nn.mask<causal = false>} : (tensor<4x2x16xf32>, tensor<4x2x16xf32>, tensor<4x2x16xf32>, tensor<4x5xi1>) -> tensor<4x2x16xf32>
  func.return
}

// -----

func.func @embedding(%1: tensor<128x64xbf16>, %0: tensor<?xi32, #nn.dims<["T"]>>) {
  // expected-error @below {{nn.embedding: the result is tensor<?x64xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x64xbf16, #nn.dims<["T", "_"]>>}}
  %2 = nn.embedding %0, %1 : (tensor<?xi32, #nn.dims<["T"]>>, tensor<128x64xbf16>) -> tensor<?x64xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @matmul(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %3 = nn.transpose %2 {perm = array<i64: 1, 0>} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<128x?xbf16, #nn.dims<["_", "T"]>>
  // expected-error @below {{nn.matmul: the result is tensor<7x?xbf16, #nn.dims<["T", "T"]>>, but its operands make it tensor<?x?xbf16, #nn.dims<["T", "T"]>>}}
  %4 = nn.matmul %2, %3 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>, tensor<128x?xbf16, #nn.dims<["_", "T"]>>) -> tensor<7x?xbf16, #nn.dims<["T", "T"]>>
  func.return
}

// -----

func.func @rms_norm(%1: tensor<64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.rms_norm: the result is tensor<?x64xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x64xbf16, #nn.dims<["T", "_"]>>}}
  %2 = nn.rms_norm %0, %1 {eps = 1.000000e-06 : f64, offset = 1.000000e+00 : f64} : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<64xbf16>) -> tensor<?x64xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @layer_norm(%1: tensor<64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.layer_norm: the result is tensor<?x64xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x64xbf16, #nn.dims<["T", "_"]>>}}
  %2 = nn.layer_norm %0, %1, %1 {eps = 1.000000e-05 : f64} : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<64xbf16>, tensor<64xbf16>) -> tensor<?x64xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @rope(%0: tensor<?x4x16xbf16, #nn.dims<["T", "_", "_"]>>, %1: tensor<?x16xf32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.rope: the result is tensor<?x4x16xf32, #nn.dims<["T", "_", "_"]>>, but its operands make it tensor<?x4x16xbf16, #nn.dims<["T", "_", "_"]>>}}
  %2 = nn.rope %0, %1, %1 : (tensor<?x4x16xbf16, #nn.dims<["T", "_", "_"]>>, tensor<?x16xf32, #nn.dims<["T", "_"]>>, tensor<?x16xf32, #nn.dims<["T", "_"]>>) -> tensor<?x4x16xf32, #nn.dims<["T", "_", "_"]>>
  func.return
}

// -----

func.func @positions(%0: !nn.batch<"T", "B">) {
  // expected-error @below {{nn.positions: the result is tensor<?xf32, #nn.dims<["T"]>>, but its operands make it tensor<?xi32, #nn.dims<["T"]>>}}
  %1 = nn.positions %0 : (!nn.batch<"T", "B">) -> tensor<?xf32, #nn.dims<["T"]>>
  func.return
}

// -----

func.func @select_token(%2: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>, %1: !nn.batch<"T", "B">) {
  %3 = nn.linear %0, %2 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xf32, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.select_token: the result is tensor<?x128xbf16, #nn.dims<["B", "_"]>>, but its operands make it tensor<?x128xf32, #nn.dims<["B", "_"]>>}}
  %4 = nn.select_token %3, %1 : (tensor<?x128xf32, #nn.dims<["T", "_"]>>, !nn.batch<"T", "B">) -> tensor<?x128xbf16, #nn.dims<["B", "_"]>>
  func.return
}

// -----

func.func @sample(%3: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>, %1: !nn.batch<"T", "B">, %2: !nn.sampling) {
  %4 = nn.linear %0, %3 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xf32, #nn.dims<["T", "_"]>>
  %5 = nn.select_token %4, %1 : (tensor<?x128xf32, #nn.dims<["T", "_"]>>, !nn.batch<"T", "B">) -> tensor<?x128xf32, #nn.dims<["B", "_"]>>
  // expected-error @below {{nn.sample: the result is tensor<?xf32, #nn.dims<["B"]>>, but its operands make it tensor<?xi32, #nn.dims<["B"]>>}}
  %6 = nn.sample %5, %1, %2 : (tensor<?x128xf32, #nn.dims<["B", "_"]>>, !nn.batch<"T", "B">, !nn.sampling) -> tensor<?xf32, #nn.dims<["B"]>>
  func.return
}

// -----

func.func @broadcast(%0: tensor<64xbf16>) {
  // expected-error @below {{nn.broadcast keeps the element type}}
  %1 = nn.broadcast %0 : (tensor<64xbf16>) -> tensor<?x64xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @empty() {
  // expected-error @below {{#nn.dims names exactly the dynamic dimensions ('?'), in tensor<7x8xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.empty : () -> tensor<7x8xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @iota() {
  // expected-error @below {{axis 1 is outside a tensor of 1 dimensions}}
  %0 = nn.iota {axis = 1 : i64} : () -> tensor<?xi32, #nn.dims<["T"]>>
  func.return
}

// -----

func.func @concat(%0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.concat: the result is tensor<?x64xf32, #nn.dims<["2*T", "_"]>>, but its operands make it tensor<?x64xbf16, #nn.dims<["2*T", "_"]>>}}
  %1 = nn.concat %0, %0 {axis = 0 : i64} : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<?x64xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x64xf32, #nn.dims<["2*T", "_"]>>
  func.return
}

// -----

func.func @gather(%0: tensor<128x64xbf16>) {
  %1 = nn.iota {axis = 0 : i64} : () -> tensor<?xi32, #nn.dims<["T"]>>
  // expected-error @below {{nn.gather: the result is tensor<?x64xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x64xbf16, #nn.dims<["T", "_"]>>}}
  %2 = nn.gather %0, %1 {axis = 0 : i64} : (tensor<128x64xbf16>, tensor<?xi32, #nn.dims<["T"]>>) -> tensor<?x64xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @take_along(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %i: tensor<?x2xi32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.take_along: the result is tensor<?x2xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x2xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.take_along %x, %i {axis = 1 : i64} : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x2xi32, #nn.dims<["T", "_"]>>) -> tensor<?x2xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @softmax(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.softmax: the result is tensor<7x128xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x128xbf16, #nn.dims<["T", "_"]>>}}
  %3 = nn.softmax %2 {axis = 1 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<7x128xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @argmax(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.argmax: the result is tensor<?xf32, #nn.dims<["T"]>>, but its operands make it tensor<?xi32, #nn.dims<["T"]>>}}
  %3 = nn.argmax %2 {axis = 1 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?xf32, #nn.dims<["T"]>>
  func.return
}

// -----

func.func @cumsum(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.cumsum: the result is tensor<?x128xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x128xbf16, #nn.dims<["T", "_"]>>}}
  %3 = nn.cumsum %2 {axis = 0 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @topk(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.topk: the result is tensor<?x4xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x4xbf16, #nn.dims<["T", "_"]>>}}
  %3, %4 = nn.topk %2 {k = 4 : i64} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> (tensor<?x4xf32, #nn.dims<["T", "_"]>>, tensor<?x4xi32, #nn.dims<["T", "_"]>>)
  func.return
}

// -----

func.func @sort(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.sort: the result is tensor<?x128xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x128xbf16, #nn.dims<["T", "_"]>>}}
  %3, %4 = nn.sort %2 {descending = true} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> (tensor<?x128xf32, #nn.dims<["T", "_"]>>, tensor<?x128xi32, #nn.dims<["T", "_"]>>)
  func.return
}

// -----

func.func @conv1d(%s: tensor<4x16xf32>, %w: tensor<8x2x3xf32>) {
  // expected-error @below {{nn.conv1d: the result is tensor<8x16xbf16>, but its operands make it tensor<8x16xf32>}}
  %0 = nn.conv1d %s, %w {padding = 1 : i64, groups = 2 : i64} : (tensor<4x16xf32>, tensor<8x2x3xf32>) -> tensor<8x16xbf16>
  func.return
}

// -----

func.func @sub(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x8xf32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.sub: the result is tensor<?x8xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.sub %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @fma(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x8xf32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.fma: the result is tensor<?x8xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.fma %x, %y, %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @clamp(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x8xf32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.clamp: the result is tensor<?x8xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.clamp %x, %y, %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @cmp(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.cmp: the result is tensor<?x128xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x128xi1, #nn.dims<["T", "_"]>>}}
  %3 = nn.cmp %2, %2 {predicate = "lt"} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>, tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @cast(%1: tensor<128x64xbf16>, %0: tensor<?x64xbf16, #nn.dims<["T", "_"]>>) {
  %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<128x64xbf16>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %3 = nn.cmp %2, %2 {predicate = "lt"} : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>, tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xi1, #nn.dims<["T", "_"]>>
  %4 = nn.silu %2 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  %5 = nn.select %3, %2, %4 : (tensor<?x128xi1, #nn.dims<["T", "_"]>>, tensor<?x128xbf16, #nn.dims<["T", "_"]>>, tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x128xbf16, #nn.dims<["T", "_"]>>
  // expected-error @below {{nn.cast: the result is tensor<7x128xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x128xf32, #nn.dims<["T", "_"]>>}}
  %6 = nn.cast %5 : (tensor<?x128xbf16, #nn.dims<["T", "_"]>>) -> tensor<7x128xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @and(%i: tensor<?x8xi32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.and: the result is tensor<?x8xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xi32, #nn.dims<["T", "_"]>>}}
  %0 = nn.and %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @exp(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.exp: the result is tensor<?x8xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.exp %x : (tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @div(%x: tensor<?x8xf32, #nn.dims<["T", "_"]>>, %y: tensor<?x8xf32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.div: the result is tensor<?x8xbf16, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xf32, #nn.dims<["T", "_"]>>}}
  %0 = nn.div %x, %y : (tensor<?x8xf32, #nn.dims<["T", "_"]>>, tensor<?x8xf32, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @floordiv(%i: tensor<?x8xi32, #nn.dims<["T", "_"]>>) {
  // expected-error @below {{nn.floordiv: the result is tensor<?x8xf32, #nn.dims<["T", "_"]>>, but its operands make it tensor<?x8xi32, #nn.dims<["T", "_"]>>}}
  %0 = nn.floordiv %i, %i : (tensor<?x8xi32, #nn.dims<["T", "_"]>>, tensor<?x8xi32, #nn.dims<["T", "_"]>>) -> tensor<?x8xf32, #nn.dims<["T", "_"]>>
  func.return
}

// -----

func.func @constant() {
  // expected-error @below {{the constant is tensor<4xf32>, its result tensor<5xf32>}}
  %0 = "nn.constant"() <{value = dense<1.0> : tensor<4xf32>}> : () -> tensor<5xf32>
  func.return
}

// -----

func.func @size() {
  // expected-error @below {{nn.size makes a tensor without dimensions}}
  %0 = nn.size {size = "T"} : () -> tensor<4xi32>
  func.return
}

// -----

func.func @not(%x: tensor<4xf32>) {
  // expected-error @below {{nn.not}}
  %0 = nn.not %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

// expected-error @below {{nn.weight @weight ends in nn.yield of one value}}
nn.weight @weight {
  %0 = nn.entry "w" : tensor<4xf32>
  nn.yield %0, %0 : tensor<4xf32>, tensor<4xf32>
}
