"""What a running site measures of itself: shares and times with n and interval, and the pictures of them."""
