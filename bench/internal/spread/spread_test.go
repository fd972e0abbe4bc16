package spread

import "testing"

func TestOf(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{7}, Spread{7, 7, 7}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9}},
	} {
		if got := Of(test.values); got != test.want {
			t.Errorf("Of(%v) = %v, want %v", test.values, got, test.want)
		}
	}
}
