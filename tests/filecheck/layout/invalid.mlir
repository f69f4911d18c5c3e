// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{1 buffers, 2 effects}}
layout.kernel @an_effect_a_buffer(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["r", "w"], sizes = []} {
  layout.return
}

// -----

// expected-error @below {{effect 'x' is none of r, w, rw}}
layout.kernel @effects(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["x"], sizes = []} {
  layout.return
}

// -----

// expected-error @below {{buffers use the sizes ['T'], which are no arguments}}
layout.kernel @sizes_are_arguments(%x: !layout.buffer<["T"], f32>) attributes {family = "generic", arg_effects = ["r"], sizes = []} {
  layout.return
}

// -----

// expected-error @below {{sizes ['T', 'B'] are not sorted and distinct}}
layout.kernel @sizes_are_sorted(%T: i32, %B: i32) attributes {family = "generic", arg_effects = [], sizes = ["T", "B"]} {
  layout.return
}

// -----

// expected-error @below {{a grid has three expressions}}
layout.kernel @grid(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["r"], sizes = [], grid = ["1"]} {
  layout.return
}

// -----

// expected-error @below {{no size expression}}
layout.kernel @grid(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["r"], sizes = [], grid = ["1 +", "1", "1"]} {
  layout.return
}

// -----

layout.kernel @ends(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["r"], sizes = []} {
  // expected-error @below {{is not a terminator}}
  %0 = layout.read %x : !layout.buffer<[4], f32> -> tensor<4xf32>
}

// -----

layout.kernel @reads_what_is_there(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["r"], sizes = []} {
  // expected-error @below {{holds tensor<4xf32>, not tensor<5xf32>}}
  %0 = layout.read %x : !layout.buffer<[4], f32> -> tensor<5xf32>
  layout.return
}

// -----

layout.kernel @writes_inside(%x: !layout.buffer<[4], f32>, %y: !layout.buffer<[6], f32>) attributes {family = "generic", arg_effects = ["r", "w"], sizes = []} {
  %0 = layout.read %x : !layout.buffer<[4], f32> -> tensor<4xf32>
  // expected-error @below {{axis 0: [3, 7) leaves the buffer's 6}}
  layout.write %0, %y at [3] : tensor<4xf32> -> !layout.buffer<[6], f32>
  layout.return
}

// -----

layout.kernel @pools(%k: !layout.buffer<["P", 2, 64, 16], bf16>, %v: !layout.buffer<["P", 2, 64, 16], f32>, %P: i32) attributes {family = "generic", arg_effects = ["r", "r"], sizes = ["P"]} {
  // expected-error @below {{is no pool of pages for}}
  %0 = layout.state %k, %v : !layout.buffer<["P", 2, 64, 16], bf16>, !layout.buffer<["P", 2, 64, 16], f32> -> !nn.state<token, tensor<2x2x16xbf16>>
  layout.return
}

// -----

layout.kernel @batches(%p: !layout.buffer<["T", 2], i32>, %T: i32) attributes {family = "generic", arg_effects = ["r"], sizes = ["T"]} {
  // expected-error @below {{positions is a buffer of i32 of rank 1}}
  %0 = layout.batch positions = %p : (!layout.buffer<["T", 2], i32>) -> !nn.batch<"T", "B">
  layout.return
}

// -----

// expected-error @below {{its layout holds}}
layout.kernel @layouts_hold_the_buffer(%x: !layout.buffer<[32, 64], bf16, #layout.mem<[[16, 1]], [[64, 32]]>>) attributes {family = "generic", arg_effects = ["r"], sizes = []} {
  layout.return
}

// -----

// expected-error @below {{dimension 1 of}}
layout.kernel @only_the_first_size_is_dynamic(%x: !layout.buffer<[32, "T"], bf16>, %T: i32) attributes {family = "generic", arg_effects = ["r"], sizes = ["T"]} {
  layout.return
}

// -----

// expected-error @below {{tensor map 0: a stride of 40 bytes; tensor maps have multiples of 16}}
layout.kernel @strides_come_in_sixteens(%x: !layout.buffer<[32, 20], bf16>) attributes {family = "generic", arg_effects = ["r"], sizes = [], maps = [#layout.tensor_map<buffer = 0, box = [8, 8]>]} {
  layout.return
}

// -----

// expected-error @below {{tensor map 0: neighbours of the last dimension are 128 bytes apart; they must be 2}}
layout.kernel @the_last_dimension_is_contiguous(%x: !layout.buffer<[64, 32], bf16, #layout.mem<[[64, 1]], [[32, 64]]>>) attributes {family = "generic", arg_effects = ["r"], sizes = [], maps = [#layout.tensor_map<buffer = 0, box = [8, 8]>]} {
  layout.return
}
// -----

// expected-error @below {{layout.write writes to a buffer whose effect is r}}
layout.kernel @effects_are_kept(%x: !layout.buffer<[4], f32>) attributes {family = "generic", arg_effects = ["r"], sizes = []} {
  %0 = layout.read %x : !layout.buffer<[4], f32> -> tensor<4xf32>
  layout.write %0, %x : tensor<4xf32> -> !layout.buffer<[4], f32>
  layout.return
}

// -----

// expected-error @below {{the range of T is [smallest, largest]}}
layout.kernel @ranges(%T: i32) attributes {family = "generic", arg_effects = [], sizes = ["T"], ranges = {T = 4 : i64}} {
  layout.return
}

// -----

layout.kernel @parameters(%t: !layout.buffer<["B"], i32>, %B: i32) attributes {family = "sample", arg_effects = ["r"], sizes = ["B"]} {
  // expected-error @below {{temperature is a buffer of f32 of rank 1}}
  %0 = layout.sampling %t, %t, %t, %t : !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32> -> !nn.sampling
  layout.return
}

// -----

// expected-error @below {{i24 is no element type that memory holds}}
func.func private @elements(!layout.buffer<[4], i24>)

// -----

layout.kernel @write_state(%x: !layout.buffer<["T", 64], bf16>, %k: !layout.buffer<["P", 2, 64, 16], bf16>, %v: !layout.buffer<["P", 2, 64, 16], bf16>, %B: i32, %P: i32, %T: i32) attributes {family = "attention", arg_effects = ["r", "rw", "rw"], sizes = ["B", "P", "T"], ranges = {T = [1 : i64, 4 : i64]}, schedule = #layout.schedule<"skinny", {warps = 8, kind = "a", tile = [1, 2], wide = true}>, grid = ["1", "1", "1"]} {
  %0 = layout.state %k, %v : !layout.buffer<["P", 2, 64, 16], bf16>, !layout.buffer<["P", 2, 64, 16], bf16> -> !nn.state<token, tensor<2x2x16xbf16>>
  // expected-error @below {{!layout.buffer<["T", 64], bf16> is no pool of pages for !nn.state<token, tensor<2x2x16xbf16>>}}
  layout.write_state %0, %x, %v : !nn.state<token, tensor<2x2x16xbf16>> -> !layout.buffer<["T", 64], bf16>, !layout.buffer<["P", 2, 64, 16], bf16>
  layout.return
}

// -----

layout.kernel @advance(%a: !layout.buffer<["B"], f32>, %b: !layout.buffer<["B"], i32>, %e: !layout.buffer<["B"], i32>, %f: !layout.buffer<["B", 8], i32>, %B: i32) attributes {family = "sample", arg_effects = ["r", "r", "rw", "rw"], sizes = ["B"]} {
  // expected-error @below {{tokens is a buffer of i32 of rank 1, not !layout.buffer<["B"], f32>}}
  layout.advance(%a, %f, %b, %e, %e, %e, %e, %e, %f) : (!layout.buffer<["B"], f32>, !layout.buffer<["B", 8], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B"], i32>, !layout.buffer<["B", 8], i32>)
  layout.return
}

// -----

// expected-error @below {{a grid has at least one CTA along each axis, not -1}}
layout.kernel @a_negative_grid() attributes {family = "pointwise", arg_effects = [], sizes = [], grid = ["-1", "1", "1"]} {
  layout.return
}
