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
