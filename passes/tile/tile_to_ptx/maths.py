"""Functions of one f32: the special-function instructions, and polynomials where those are too coarse.

Polynomials: erf and tanh are the piecewise minimax forms used by CUDA's libraries (published by N. Juffa), sine and
cosine reduce the argument in three steps (Cody and Waite) before their polynomial, which holds to |x| of about 10^5:
rotary angles at 128K positions. Everything else has a relative error below 2^-20.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from xdsl.ir import SSAValue

from .emitter import Emitter

Float = SSAValue | float
LOG2_E = math.log2(math.e)
LN_2 = math.log(2.0)


def fma(e: Emitter, a: Float, b: Float, c: Float) -> SSAValue:
    return e.op("fma.rn.f32", a, b, c)


def horner(e: Emitter, x: Float, coefficients: Sequence[float]) -> Float:
    """Polynomial with the highest coefficient first."""
    total: Float = coefficients[0]
    for coefficient in coefficients[1:]:
        total = fma(e, total, x, coefficient)
    return total


def exp2(e: Emitter, x: Float) -> SSAValue:
    return e.op("ex2.approx.ftz.f32", x)


def exp(e: Emitter, x: Float) -> SSAValue:
    return exp2(e, e.op("mul.f32", x, LOG2_E))


def expm1(e: Emitter, x: Float) -> SSAValue:
    near = horner(e, x, (1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1.0))
    small = e.op("setp.lt.f32", e.op("abs.f32", x), 0.25)
    return e.op("selp.f32", e.op("mul.f32", near, x), e.op("add.f32", exp(e, x), -1.0), small)


def log2(e: Emitter, x: Float) -> SSAValue:
    return e.op("lg2.approx.f32", x)


def log(e: Emitter, x: Float) -> SSAValue:
    return e.op("mul.f32", log2(e, x), LN_2)


def log10(e: Emitter, x: Float) -> SSAValue:
    return e.op("mul.f32", log2(e, x), math.log10(2.0))


def log1p(e: Emitter, x: Float) -> SSAValue:
    """log(1 + x), by its series near 0."""
    near = horner(e, x, (1 / 7, -1 / 6, 1 / 5, -1 / 4, 1 / 3, -0.5, 1.0))
    small = e.op("setp.lt.f32", e.op("abs.f32", x), 0.09)
    return e.op("selp.f32", e.op("mul.f32", near, x), log(e, e.op("add.f32", x, 1.0)), small)


def sqrt(e: Emitter, x: Float) -> SSAValue:
    return e.op("sqrt.approx.f32", x)


def rsqrt(e: Emitter, x: Float) -> SSAValue:
    return e.op("rsqrt.approx.f32", x)


def reciprocal(e: Emitter, x: Float) -> SSAValue:
    return e.op("rcp.approx.f32", x)


def divide(e: Emitter, a: Float, b: Float) -> SSAValue:
    """a · (1 / b): 1.5 ulp while 1 / b is normal, and elements divided by the same value share the reciprocal."""
    if isinstance(b, float) and b != 0.0 and math.frexp(b)[0] in (0.5, -0.5):
        return e.op("mul.f32", a, 1.0 / b)
    if isinstance(a, float) and a == 1.0:
        return reciprocal(e, b)
    return e.op("mul.f32", a, reciprocal(e, b))


def tanh(e: Emitter, x: Float) -> SSAValue:
    size = e.op("abs.f32", x)
    square = e.op("mul.f32", x, x)
    near = horner(e, square, (1.57394409e-2, -5.23025580e-2, 1.33152977e-1, -3.33327681e-1))
    near = fma(e, e.op("mul.f32", near, square), x, x)
    grown = exp2(e, e.op("mul.f32", size, 2.0 * LOG2_E))
    far = fma(e, reciprocal(e, e.op("add.f32", grown, 1.0)), -2.0, 1.0)
    far = e.op("copysign.f32", x, far)
    return e.op("selp.f32", near, far, e.op("setp.lt.f32", size, 0.55))


def erf(e: Emitter, x: Float) -> SSAValue:
    t = e.op("abs.f32", x)
    s = e.op("mul.f32", x, x)
    far = fma(e, -1.72853470e-5, t, 3.83197126e-4)
    far = fma(e, far, s, fma(e, -3.88396438e-3, t, 2.42546219e-2))
    far = horner(e, t, (far, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1))  # pyright: ignore[reportArgumentType]
    far = fma(e, far, t, e.op("neg.f32", t))
    far = e.op("sub.f32", 1.0, exp(e, far))
    far = e.op("copysign.f32", x, far)
    near = horner(e, s, (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1))
    near = fma(e, near, x, x)
    return e.op("selp.f32", far, near, e.op("setp.gt.f32", t, 0.927734375))


def _quadrant(e: Emitter, x: Float) -> tuple[SSAValue, SSAValue]:
    """(remainder in [-pi/4, pi/4], NaN of an infinity, quadrant number)."""
    turns = e.op("cvt.rni.f32.f32", fma(e, x, 2.0 / math.pi, 0.0))  # of -0.0 it is 0.0, which leaves x as it is
    rest = fma(e, turns, -1.57079601287841796875, x)
    rest = fma(e, turns, -3.13916473379072617e-7, rest)
    return fma(e, turns, -5.39030295267e-15, rest), e.op("cvt.rni.s32.f32", turns)


def _circular(e: Emitter, x: Float, shift: int) -> SSAValue:
    rest, quadrant = _quadrant(e, x)
    if shift:
        quadrant = e.op("add.s32", quadrant, shift)
    s = e.op("mul.f32", rest, rest)
    sine = horner(e, s, (2.86567956e-6, -1.98559923e-4, 8.33338592e-3, -1.66666672e-1))
    sine = e.op("mul.f32", fma(e, sine, s, 1.0), rest)  # a product keeps the sign of 0
    cosine = horner(e, s, (2.44677067e-5, -1.38877297e-3, 4.16666567e-2, -0.5, 1.0))
    odd = e.op("setp.ne.u32", e.op("and.b32", quadrant, 1), 0)
    value = e.op("selp.f32", cosine, sine, odd)
    sign = e.op("shl.b32", e.op("and.b32", quadrant, 2), 30)
    return e.op("mov.f32", e.op("xor.b32", e.op("mov.b32", value), sign))


def sin(e: Emitter, x: Float) -> SSAValue:
    return _circular(e, x, 0)


def cos(e: Emitter, x: Float) -> SSAValue:
    return _circular(e, x, 1)


def tan(e: Emitter, x: Float) -> SSAValue:
    return divide(e, sin(e, x), cos(e, x))


def power(e: Emitter, x: Float, y: Float) -> SSAValue:
    """x ** y as C's pow has it; small integer constants by multiplication."""
    if isinstance(y, float) and y == 0.0:
        return e.op("mov.f32", 1.0)
    if isinstance(y, float) and y.is_integer() and abs(y) <= 8:
        return _integer_power(e, x, int(y))
    if isinstance(y, float) and y == 0.5:
        return sqrt(e, x)
    if isinstance(y, float) and y == -0.5:
        return rsqrt(e, x)
    if isinstance(x, float) and 0.0 < x < math.inf and x != 1.0:
        return exp2(e, e.op("mul.f32", y, math.log2(x)))
    return _signed_power(e, x, y)


def _signed_power(e: Emitter, x: Float, y: Float) -> SSAValue:
    """|x| ** y, negated where x is below 0 and y odd, NaN where x is below 0 and finite and y no integer."""
    size, half = e.op("abs.f32", x), e.op("mul.f32", y, 0.5)
    value = exp2(e, e.op("mul.f32", log2(e, size), y))
    one = e.op("or.pred", e.op("setp.eq.f32", size, 1.0), e.op("setp.eq.f32", y, 0.0))
    value = e.op("selp.f32", 1.0, value, one)
    whole = e.op("setp.eq.f32", e.op("cvt.rzi.f32.f32", y), y)
    odd = e.op("and.pred", whole, e.op("setp.ne.f32", e.op("cvt.rzi.f32.f32", half), half))
    value = e.op("selp.f32", e.op("copysign.f32", x, value), value, odd)
    below = e.op("and.pred", e.op("setp.lt.f32", x, 0.0), e.op("setp.gt.f32", x, -math.inf))
    return e.op("selp.f32", math.nan, value, e.op("and.pred", below, e.op("not.pred", whole)))


def _integer_power(e: Emitter, x: Float, n: int) -> SSAValue:
    if n < 0:
        return reciprocal(e, _integer_power(e, x, -n))
    result: Float | None = None
    base = x
    while n:
        if n & 1:
            result = base if result is None else e.op("mul.f32", result, base)
        n >>= 1
        if n:
            base = e.op("mul.f32", base, base)
    assert result is not None
    return result if isinstance(result, SSAValue) else e.op("mov.f32", result)


def round_to(mode: str) -> Callable[[Emitter, Float], SSAValue]:
    """floor, ceil, trunc or nearest even, as f32."""
    return lambda e, x: e.op(f"cvt.{mode}.f32.f32", x)


def round_half_away(e: Emitter, x: Float) -> SSAValue:
    half = e.op("copysign.f32", x, 0.5)
    return e.op("cvt.rzi.f32.f32", e.op("add.f32", x, half))


def power_by_squaring(e: Emitter, base: SSAValue, exponent: SSAValue) -> SSAValue:
    """base ** exponent of 32-bit integers, modulo 2^32; by a negative exponent 1 and -1 only are not 0."""
    negative = e.op("setp.lt.s32", exponent, 0)
    parity = e.op("and.b32", exponent, 1)
    total = _squaring_loop(e, base, e.op("selp.b32", parity, exponent, negative))
    unit = e.op("setp.eq.s32", e.op("abs.s32", base), 1)
    return e.op("selp.b32", total, 0, e.op("or.pred", unit, e.op("not.pred", negative)))


def _squaring_loop(e: Emitter, base: SSAValue, exponent: SSAValue) -> SSAValue:
    """header(power, rest, total): rest ≠ 0 ? body : after; body → header."""
    new_block = e.scopes[0].builder.new_block
    header, body, after = new_block("b32", "b32", "b32"), new_block(), new_block()
    e.push(header, hoists=False)
    power, rest, total = header.args
    e.scope.builder.cbra(e.op("setp.ne.s32", rest, 0), body, after)
    e.continue_in(body)
    odd = e.op("setp.ne.s32", e.op("and.b32", rest, 1), 0)
    total_after = e.op("selp.b32", e.op("mul.lo.s32", total, power), total, odd)
    e.scope.builder.bra(header, e.op("mul.lo.s32", power, power), e.op("shr.u32", rest, 1), total_after)
    e.pop()
    e.scope.builder.bra(header, base, exponent, e.op("mov.b32", 1))
    e.continue_in(after)
    e.own(header.args)
    return total
