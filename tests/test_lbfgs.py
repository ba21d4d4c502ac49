"""L-BFGS: its directions, how it converges, and why it stops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der

from annpot.accuracy import Errors
from annpot.loss import Pass
from annpot.optimizers.lbfgs import Curvature, iterate, start


class Function:
    """A function and its gradient in the place of a loss."""

    def __init__(self, value, gradient):
        self.value, self.gradient, self.n_calls = value, gradient, 0

    def compute(self, weights_w):
        self.n_calls += 1
        value, gradient_w = float(self.value(weights_w)), self.gradient(weights_w)
        return Pass(value, gradient_w, Errors(self.n_calls, *[np.nan] * 3))


def minimise(function, start_w, epochs=200, memory=10, stop_after=None):
    """Return the losses of the epochs, the last weights and the reason."""
    losses, weights_w = [], start_w
    states = iterate(function, start(function, start_w, memory), epochs)
    while len(losses) != stop_after:
        try:
            state = next(states)
        except StopIteration as end:
            return losses, weights_w, end.value
        weights_w = state.weights_w
        assert state.point.loss == function.value(weights_w)
        losses.append(state.point.loss)
        assert state.epoch == len(losses)
    return losses, weights_w, None


@pytest.mark.parametrize("n_steps", [0, 1, 3, 7])
def test_directions_are_those_of_bfgs(n_steps):
    """Against the update of the inverse Hessian H, Nocedal, Wright, eq. 6.17."""
    rng = np.random.default_rng(n_steps)
    hessian_ww = np.diag(np.arange(1.0, 7.0))
    curvature, pairs = Curvature(5), []
    for _ in range(n_steps):
        s_w = rng.normal(size=6)
        y_w = hessian_ww @ s_w
        curvature = curvature.add(s_w, y_w)
        pairs.append((s_w, y_w))
    gradient_w = rng.normal(size=6)
    H_ww = np.eye(6) / max(1.0, np.linalg.norm(gradient_w))
    if pairs:
        s_w, y_w = pairs[-1]
        H_ww = np.eye(6) * (s_w @ y_w) / (y_w @ y_w)
    for s_w, y_w in pairs[-5:]:
        rho = 1.0 / (s_w @ y_w)
        V_ww = np.eye(6) - rho * np.outer(y_w, s_w)
        H_ww = V_ww.T @ H_ww @ V_ww + rho * np.outer(s_w, s_w)
    expected_w = -H_ww @ gradient_w
    np.testing.assert_allclose(curvature.direction(gradient_w), expected_w, rtol=1e-12)


def test_steps_along_which_the_function_is_concave_are_left_out():
    curvature = Curvature(3)
    curvature = curvature.add(np.array([1.0, 0.0]), np.array([-1.0, 0.0]))
    curvature = curvature.add(np.array([1.0, 0.0]), np.zeros(2))
    assert not curvature.steps


def test_rosenbrock_as_fast_as_scipy():
    start_w = np.full(10, -1.2)
    function = Function(rosen, rosen_der)
    losses, weights_w, reason = minimise(function, start_w)
    assert reason == "converged"
    np.testing.assert_allclose(weights_w, 1.0, atol=1e-8)
    assert losses == sorted(losses, reverse=True)
    scipy = minimize(
        rosen,
        start_w,
        jac=rosen_der,
        method="L-BFGS-B",
        options={"gtol": 1e-9, "ftol": 0.0},
    )
    assert function.n_calls < 1.3 * scipy.nfev


def test_the_last_epoch_and_the_end_by_the_caller():
    start_w = np.full(4, -1.2)
    losses, _, reason = minimise(Function(rosen, rosen_der), start_w, epochs=5)
    assert (len(losses), reason) == (5, None)
    assert losses[-1] < losses[0] < rosen(start_w)
    function = Function(rosen, rosen_der)
    losses, _, reason = minimise(function, start_w, stop_after=3)
    assert (len(losses), reason) == (3, None)


def test_a_start_at_the_minimum_is_an_epoch():
    losses, weights_w, reason = minimise(Function(rosen, rosen_der), np.ones(3))
    assert (losses, reason) == ([0.0], "converged")
    np.testing.assert_array_equal(weights_w, 1.0)


def test_no_smaller_loss():
    wrong = Function(rosen, lambda weights_w: -rosen_der(weights_w))
    losses, _, reason = minimise(wrong, np.full(3, -1.2))
    assert not losses
    assert reason == "the line search found no smaller loss"


def test_a_loss_that_is_not_a_number_on_the_way():
    def value(w_w):
        return np.nan if abs(w_w).max() > 3.0 else float(w_w @ w_w)

    losses, weights_w, reason = minimise(
        Function(value, lambda w_w: 2 * w_w), np.ones(2)
    )
    assert reason == "converged"
    assert abs(weights_w).max() < 1e-9
    assert losses[-1] < 1e-18
