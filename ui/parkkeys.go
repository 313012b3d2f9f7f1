package ui

// parkBindings are the keys of parked calls.
func parkBindings() []binding {
	return []binding{
		{
			keys: []string{"f5"}, shown: "F5", twin: "p", command: "/park", group: groupPark, hint: "Park", shows: parkHint,
			help: "park the call: the number of the orbit is shown and copied", do: (*model).park, why: (*model).parkWhy,
		},
		{
			keys: []string{"f6"}, shown: "F6", twin: "o", command: "/pickup", group: groupPark, hint: "Pickup", shows: pickUpHint,
			help: "pick up a parked call by the number of its orbit", do: (*model).openPickUp, why: (*model).pickUpWhy,
		},
	}
}

// boardBindings are those that stand behind the keys of the call in the hint row.
func boardBindings() []binding {
	return []binding{
		{
			keys: []string{"f9"}, shown: "F9", twin: "b", command: "/orbits", group: groupPark, hint: "Board", shows: boardHint,
			help: "the board of parked calls: who waits, and when it rings back", do: (*model).openBoard,
		},
		{
			twin: "B", command: "/broadcast", group: groupPark,
			help: "tell others of the orbit that was parked last", do: (*model).openBroadcast, why: (*model).broadcastWhy,
		},
	}
}

// parkHint stands where a call can be parked.
func parkHint(m *model) string {
	if !m.parks.service.Available {
		return ""
	}
	return inCallHint("Park")(m)
}

func pickUpHint(m *model) string {
	if len(m.parks.rows) == 0 {
		return ""
	}
	return "Pickup"
}

func boardHint(m *model) string {
	if len(m.parks.rows) == 0 {
		return ""
	}
	return "Board"
}
