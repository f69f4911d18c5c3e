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
