// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{a weight has static sizes, not ['T']}}
rt.weight @w : !layout.buffer<["T"], bf16>

// -----

rt.program @slots attributes {sizes = []} {
  %arena = rt.arena ["128", "256"]
  // expected-error @below {{slot 2 of an arena of 2}}
  %0 = rt.view %arena[2] : !layout.buffer<[8], f32>
  rt.return
}

// -----

rt.program @slot_sizes attributes {sizes = ["T"]} {
  // expected-error @below {{no size expression}}
  %arena = rt.arena ["128 T"]
  rt.return
}

// -----

rt.program @ends attributes {sizes = []} {
  // expected-error @below {{is not a terminator}}
  %0 = rt.temp : !layout.buffer<[8], f32>
}

// -----

rt.program @uploads_are_row_major attributes {sizes = []} {
  %0 = rt.temp : !layout.buffer<[2, 4], f32, #layout.mem<[[2, 1]], [[4, 2]]>>
  // expected-error @below {{a checkpoint tensor is row-major and static}}
  rt.upload "w" to %0 : !layout.buffer<[2, 4], f32, #layout.mem<[[2, 1]], [[4, 2]]>>
  rt.return
}

// -----

rt.program @reinterpret attributes {sizes = []} {
  %0 = rt.temp : !layout.buffer<[2, 4], f32, #layout.mem<[[2, 1]], [[4, 2]]>>
  // expected-error @below {{only row-major buffers can be reinterpreted}}
  %1 = rt.reinterpret %0 : !layout.buffer<[2, 4], f32, #layout.mem<[[2, 1]], [[4, 2]]>> -> !layout.buffer<[8], f32>
  rt.return
}

// -----

// expected-error @below {{rt.io}}
%0 = rt.io "ids" : !layout.buffer<[8], i32>

// -----

rt.program @maps attributes {sizes = []} {
  %0 = rt.temp : !layout.buffer<[8], f32>
  // expected-error @below {{tensor map 0: a box of rank 2 in a buffer of rank 1}}
  rt.launch @boxes(%0) maps [#layout.tensor_map<buffer = 0, box = [8, 8]>] : (!layout.buffer<[8], f32>)
  rt.return
}
// -----

rt.program @unknown_kernel attributes {sizes = []} {
  // expected-error @below {{no symbol @nothing in the module}}
  rt.launch @nothing() : ()
  rt.return
}

// -----

rt.weight @w : !layout.buffer<[4], f32>
rt.program @weights_are_no_kernels attributes {sizes = []} {
  // expected-error @below {{rt.launch names @w, which is a rt.weight, no kernel}}
  rt.launch @w() : ()
  rt.return
}

// -----

layout.kernel @k(%x: !layout.buffer<[4], f32>, %T: i32) attributes {family = "generic", arg_effects = ["r"], sizes = ["T"]} {
  layout.return
}
rt.program @buffers_differ attributes {sizes = ["T"]} {
  %x = rt.temp : !layout.buffer<[5], f32>
  // expected-error @below {{rt.launch @k passes (!layout.buffer<[5], f32>), the kernel takes (!layout.buffer<[4], f32>)}}
  rt.launch @k(%x) sizes ["T"] : (!layout.buffer<[5], f32>)
  rt.return
}

// -----

layout.kernel @k(%T: i32) attributes {family = "generic", arg_effects = [], sizes = ["T"]} {
  layout.return
}
rt.program @sizes_differ attributes {sizes = ["T"]} {
  // expected-error @below {{rt.launch @k passes 0 sizes, not 1}}
  rt.launch @k() : ()
  rt.return
}

// -----

rt.weight @w : !layout.buffer<[4], f32>
rt.program @weights_keep_their_type attributes {sizes = []} {
  // expected-error @below {{rt.param @w is !layout.buffer<[5], f32>, but the weight is !layout.buffer<[4], f32>}}
  %w = rt.param @w : !layout.buffer<[5], f32>
  rt.return
}

// -----

// expected-error @below {{the value is tensor<2xi32>, the weight tensor<2xf32>}}
rt.weight @values : !layout.buffer<[2], f32> = dense<1> : tensor<2xi32>

// -----

rt.program @reinterpreting_keeps_elements attributes {sizes = []} {
  %0 = rt.temp : !layout.buffer<[8], f32>
  // expected-error @below {{reinterpreting keeps the element type, f32, not i32}}
  %1 = rt.reinterpret %0 : !layout.buffer<[8], f32> -> !layout.buffer<[8], i32>
  rt.return
}

// -----

layout.kernel @k(%T: i32) attributes {family = "generic", arg_effects = [], sizes = ["T"]} {
  layout.return
}
// expected-error @below {{a launch passes the size Q}}
rt.program @sizes_are_the_programs attributes {sizes = ["T"]} {
  rt.launch @k() sizes ["Q"] : ()
  rt.return
}

// -----

// expected-error @below {{rt.io "x" is both !layout.buffer<["T", 8], f32> and !layout.buffer<["T", 9], i32>}}
rt.program @one_io_has_one_type attributes {sizes = ["T"]} {
  %x = rt.io "x" : !layout.buffer<["T", 8], f32>
  %y = rt.io "x" : !layout.buffer<["T", 9], i32>
  rt.return
}

// -----

rt.program @views_fit_their_slots attributes {sizes = ["T"], ranges = {T = [4, 16]}} {
  %arena = rt.arena ["4 * T", "512"]
  // expected-error @below {{!layout.buffer<["T", 800], f32> takes 12800 bytes where its slot, 4 * T, has 16}}
  %0 = rt.view %arena[0] : !layout.buffer<["T", 800], f32>
  %1 = rt.view %arena[1] : !layout.buffer<["T", 8], f32>
  rt.return
}

// -----

rt.program @views_without_a_range_fit_any_size attributes {sizes = ["T"]} {
  %arena = rt.arena ["512"]
  // expected-error @below {{takes 33554432 bytes where its slot, 512, has 512}}
  %0 = rt.view %arena[0] : !layout.buffer<["T", 8], f32>
  rt.return
}

// -----

// expected-error @below {{the grid uses the sizes ['S'], which are none of ['T']}}
rt.program @grids_use_sizes_of_the_program attributes {sizes = ["T"]} {
  rt.launch @k() grid ["S", "1", "1"] : ()
  rt.return
}
layout.kernel @k() attributes {family = "pointwise", arg_effects = [], sizes = []} {
  layout.return
}
