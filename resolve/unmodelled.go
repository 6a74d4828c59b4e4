package resolve

// Rules for resources that stand on the way and that this release does not evaluate.
const (
	RuleAmbientClient RuleID = "unmodelled/ambient-client"
	RuleAmbientServer RuleID = "unmodelled/ambient-server"
)

var unmodelledRules = []Rule{
	{
		ID: RuleAmbientClient, Stage: StageCapture,
		Says:     "The ambient data plane is not evaluated by this release; an ambient client is walked as if it had no proxy.",
		Template: "%s is in ambient mode, which this release does not evaluate: walked as if it had no proxy",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleAmbientServer, Stage: StageCapture,
		Says:     "The ambient data plane is not evaluated by this release; an ambient server is walked as if it had no proxy.",
		Template: "%s is in ambient mode, which this release does not evaluate: walked as if it had no proxy",
		Source:   "assumption of the tool",
	},
}
