Hello ${name}: ${join(", ", list)}!
