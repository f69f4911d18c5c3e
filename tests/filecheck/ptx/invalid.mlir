// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{not in the instruction table}}
  %z = ptx.add s33 %a, 1 : !ptx.reg<b32>
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{expected b32, got !ptx.reg<f32>}}
  %z = ptx.add s32 %f, 1 : !ptx.reg<b32>
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{takes 2 operands, got 1}}
  %z = ptx.add s32 %a : !ptx.reg<b32>
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{expected an address}}
  ptx.st global.b32 %a, %a
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{expected 2 registers, got 3}}
  ptx.st global.v2.b32 [%a], {%a, %a, %a}
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{expected an immediate}}
  ptx.cp async.wait_group %a
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{predicate must be}}
  ptx.bar sync 0 if %a
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{2 results, the form has 1}}
  %z, %y = ptx.add s32 %a, 1 : !ptx.reg<b32>, !ptx.reg<b32>
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{every operand must be of kind b32}}
  %z = ptx.pack %a, %f : !ptx.regs<b32, 2>
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{is not registered}}
  %z = ptx.frobnicate s32 %a : !ptx.reg<b32>
  ptx.ret
}

// -----

ptx.kernel @k {params = {x = "u64"}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  %f = ptx.mov f32 1.0 : !ptx.reg<f32>
  // expected-error @below {{unknown register kind 'b31'}}
  %z = ptx.add s32 %a, 1 : !ptx.reg<b31>
  ptx.ret
}

// -----

// expected-error @below {{the kernel has no parameter 'y'}}
ptx.kernel @parameters {params = {x = "u64"}, reqntid = 32 : i32} {
  %z = ptx.ld param.u32 [@y] : !ptx.reg<b32>
  ptx.ret
}

// -----

ptx.kernel @edges {params = {x = "u64"}, reqntid = 32 : i32} {
  // expected-error @below {{ptx.bra: 0 values for 1 block arguments}}
  ptx.bra ^bb1
^bb1(%a: !ptx.reg<b32>):
  ptx.ret
}

// -----

ptx.kernel @ends {params = {x = "u64"}, reqntid = 32 : i32} {
  // expected-error @below {{is not a terminator}}
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
}

// -----

// expected-error @below {{a CTA has 1 to 1024 threads}}
ptx.kernel @threads {params = {}, reqntid = 2048 : i32} {
  ptx.ret
}

// -----

ptx.kernel @results {params = {}, reqntid = 32 : i32} {
  // expected-error @below {{the form gives b32, not !ptx.reg<f32>}}
  %0 = ptx.add s32 1, 1 : !ptx.reg<f32>
  ptx.ret
}

// -----

ptx.kernel @cbra {params = {}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  // expected-error @below {{ptx.cbra: the condition must be a !ptx.reg<pred>}}
  ptx.cbra %a, ^bb1, ^bb2
^bb1:
  ptx.ret
^bb2:
  ptx.ret
}

// -----

ptx.kernel @unpack {params = {}, reqntid = 32 : i32} {
  %a = ptx.mov u32 sreg(tid.x) : !ptx.reg<b32>
  // expected-error @below {{ptx.unpack: expected one !ptx.regs operand with a result per register}}
  %b = ptx.unpack %a : !ptx.reg<b32>
  ptx.ret
}
