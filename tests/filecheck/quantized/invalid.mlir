// RUN: %llmc-opt %s --split-input-file --verify-diagnostics

func.func @blocks_divide(%w: tensor<4x8xf32>) {
  // expected-error @below {{blocks of 3 do not divide an axis of 8}}
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, 3]>>
  func.return
}

// -----

func.func @one_block_size_an_axis(%w: tensor<4x8xf32>) {
  // expected-error @below {{1 block sizes for a tensor of 2 dimensions}}
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [1]>>
  func.return
}

// -----

func.func @blocks_hold_something(%w: tensor<4x8xf32>) {
  // expected-error @below {{a block holds at least one element, or -1 for the whole axis, not 0}}
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8x!quantized.elem<i8, scale = f32, block = [0, -1]>>
  func.return
}

// -----

func.func @result_is_quantised(%w: tensor<4x8xf32>) {
  // expected-error @below {{expected a tensor of !quantized.elem, got tensor<4x8xi8>}}
  %q = quantized.quantize %w : tensor<4x8xf32> -> tensor<4x8xi8>
  func.return
}

// -----

func.func @sizes_stay(%q: tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>>) {
  // expected-error @below {{quantising keeps the sizes}}
  %d = quantized.dequantize %q : tensor<4x8x!quantized.elem<i8, scale = f32, block = [1, -1]>> -> tensor<8x4xf32>
  func.return
}

// -----

// expected-error @below {{the scale is a float, or quantised itself, not i8}}
func.func private @scales(tensor<4x!quantized.elem<i8, scale = i8, block = [1]>>)
