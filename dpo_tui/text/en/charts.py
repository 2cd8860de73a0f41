"""Texts of curves: their names, their keys, numbers and ages, and what they mean."""

TEXTS: dict[str, str] = {
    "time.now": "just now",
    "time.ago": "{age} ago",
    "time.days": "{n}d",
    "time.hours": "{n}h",
    "time.minutes": "{n}m",
    "time.seconds": "{n}s",
    "time.days_hours": "{a}d {b}h",
    "time.hours_minutes": "{a}h {b:02d}m",
    "time.minutes_seconds": "{a}m {b:02d}s",
    "chart.loss": "loss",
    "chart.margins": "rewards/margins",
    "chart.rewards": "rewards",
    "chart.accuracy": "accuracy",
    "chart.logps": "logps",
    "chart.rate": "learning rate",
    "chart.grad_norm": "grad norm",
    "chart.speed": "speed",
    "chart.memory": "memory",
    "chart.line.train": "train",
    "chart.line.eval": "eval",
    "chart.line.chosen": "chosen",
    "chart.line.rejected": "rejected",
    "chart.unit.speed": "pairs/s",
    "chart.unit.memory": "GiB",
    "chart.empty": "no steps yet",
    "chart.absent": "not reported by this run",
    "chart.log": "log",
    "chart.zoomed": "zoomed",
    "chart.smoothing.none": "raw",
    "chart.smoothing.light": "light smoothing",
    "chart.smoothing.strong": "strong smoothing",
    "chart.help": (
        "## {name}\n\n{about}\n\n"
        "The x axis counts optimiser steps. The grey band spans the lowest and the highest value of each column, the "
        "bright line is their moving average, dots are the held-out pairs."
    ),
    "chart.loss.about": (
        "The loss of the objective. Sigmoid DPO starts at 0.693, where policy and reference agree, and falls as the "
        "policy learns to prefer the chosen answers. Dots that rise while the line falls mean over-fitting."
    ),
    "chart.margins.about": (
        "By how much the policy prefers the chosen answer over the rejected one, beyond the reference: beta times "
        "the difference of the log-ratios. It starts at 0 and should grow."
    ),
    "chart.rewards.about": (
        "beta · (policy logp - reference logp) of both answers. Best when chosen stays near or above 0 while "
        "rejected falls. When both fall, good answers are unlearned as well."
    ),
    "chart.accuracy.about": (
        "The share of pairs whose chosen answer has the higher reward. 0.5 is chance. 1.0 very early means that the "
        "pairs are too easy or the learning rate is too high."
    ),
    "chart.logps.about": (
        "The log-probability of whole answers under the policy, in nats. It varies with their length; its course "
        "matters: chosen should not fall much."
    ),
    "chart.rate.about": "The learning rate of the optimiser: warm-up, then the schedule of the config.",
    "chart.grad_norm.about": (
        "The norm of the gradient before it is clipped. Single spikes are normal; many of them mean an unstable "
        "training: lower the learning rate."
    ),
    "chart.speed.about": "Pairs trained a second, without the pauses for evaluations and checkpoints.",
    "chart.memory.about": "The most memory used so far: allocated on the GPU, or resident on a CPU.",
    "key.chart.show": "Chart",
    "key.chart.show.tip": "Show the chart of this number, and go to it",
    "key.chart.show_2": "Chart: rewards/margins",
    "key.chart.show_2.tip": "Show the chart of rewards/margins, and go to it",
    "key.chart.show_3": "Chart: rewards",
    "key.chart.show_3.tip": "Show the chart of rewards, and go to it",
    "key.chart.show_4": "Chart: accuracy",
    "key.chart.show_4.tip": "Show the chart of accuracy, and go to it",
    "key.chart.show_5": "Chart: logps",
    "key.chart.show_5.tip": "Show the chart of logps, and go to it",
    "key.chart.show_6": "Chart: learning rate",
    "key.chart.show_6.tip": "Show the chart of learning rate, and go to it",
    "key.chart.show_7": "Chart: grad norm",
    "key.chart.show_7.tip": "Show the chart of grad norm, and go to it",
    "key.chart.show_8": "Chart: speed",
    "key.chart.show_8.tip": "Show the chart of speed, and go to it",
    "key.chart.show_9": "Chart: memory",
    "key.chart.show_9.tip": "Show the chart of memory, and go to it",
    "key.chart.maximize": "Large",
    "key.chart.maximize.tip": "Give the chart in focus all the room, or give the others theirs back",
    "key.chart.zoom_in": "Zoom in",
    "key.chart.zoom_in.tip": "See fewer steps; the newest stay in view if they are",
    "key.chart.zoom_out": "Zoom out",
    "key.chart.zoom_out.tip": "See more steps",
    "key.chart.earlier": "Earlier",
    "key.chart.earlier.tip": "Move to earlier steps",
    "key.chart.later": "Later",
    "key.chart.later.tip": "Move to later steps; at the end the chart follows the run again",
    "key.chart.reset": "All steps",
    "key.chart.reset.tip": "See the whole run again, and follow it",
    "key.chart.log": "Log scale",
    "key.chart.log.tip": "Draw values by their logarithm, where all are above zero",
    "key.chart.smooth": "Smoothing",
    "key.chart.smooth.tip": "None, light, strong",
    "insight.stuck": "the loss has stayed at {loss} for {steps} steps: the policy does not learn.",
    "insight.stuck.advice": (
        "0.693 is the loss of a policy that prefers neither answer. Raise optimizer.learning_rate (5e-7 to 5e-6 for "
        "full training, 5e-6 to 5e-5 for LoRA), and check with `dpo-tui data` that chosen and rejected differ."
    ),
    "insight.too_easy": "all pairs are right with a loss of {loss} at step {step}, within the first tenth.",
    "insight.too_easy.advice": (
        "Either the pairs are told apart by something trivial, such as length or format, or the learning rate is so "
        "high that the policy is torn away from the reference. Look at a few pairs, lower "
        "optimizer.learning_rate, or raise objective.beta."
    ),
    "insight.unlearning": (
        "chosen logps fell {nats} nats since step {step} while margins grew: the model unlearns good answers too."
    ),
    "insight.unlearning.advice": (
        "Some fall is usual: DPO only looks at the difference. When it goes on, answers get worse. Raise "
        "objective.beta, lower optimizer.learning_rate, or add an sft term to objective.loss."
    ),
    "insight.spikes": "{count} gradient spikes among the last steps, up to {times} times the usual norm (step {step}).",
    "insight.spikes.advice": (
        "Clipping bounds each of them, but the training is unstable. Lower optimizer.learning_rate, raise "
        "train.pairs_per_step, or look for broken pairs."
    ),
    "insight.falling_margin": "the margin has fallen from {before} to {now} since step {step}.",
    "insight.falling_margin.advice": (
        "The policy loses what it had learned. Lower optimizer.learning_rate, or take an earlier checkpoint: "
        "`best` picks the one with the lowest eval loss."
    ),
    "insight.overfitting": (
        "eval loss has risen from {best} (step {step}) to {now} while the train loss falls: over-fitting."
    ),
    "insight.overfitting.advice": (
        "The policy learns the training pairs by heart. Export the best checkpoint; next time train fewer epochs, "
        "use more pairs, or lower optimizer.learning_rate."
    ),
    "insight.slower": "the training has become {times} times slower than it was.",
    "insight.slower.advice": (
        "Something else may use the GPU, the CPU or the disk, or the GPU is too hot and lowers its clock. Longer "
        "pairs alone do not lower tokens a second by so much."
    ),
    "insight.growing_memory": "memory grows steadily: from {before} to {now} GiB in the last half of the steps.",
    "insight.growing_memory.advice": (
        "If it goes on, the run ends with out of memory. Checkpoints make that cheap: it can be resumed. Lower "
        "train.tokens_per_pack or data.max_length if single long pairs are the reason."
    ),
}
